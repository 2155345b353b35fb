"""The program of a worker process: import the task once, then run one job after another."""

import io
import os
import pickle
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from sweeper.cli.interrupts import WARNINGS
from sweeper.cli.leaving import leave
from sweeper.launch.orphans import exit_with_children
from sweeper.launch.output import output_to
from sweeper.launch.script import enter_script

READY = "ready"


def main(connection_descriptor: int, lifeline_descriptor: int) -> None:
    """Run jobs from the connection until it closes; exit at once if the parent dies."""
    threading.Thread(target=exit_with_parent, args=(lifeline_descriptor,), daemon=True).start()
    serve(Connection(connection_descriptor))


def serve(connection: Connection) -> None:
    """Run jobs from the connection until it closes."""
    for number in WARNINGS:  # the parent process acts on them
        signal.signal(number, signal.SIG_IGN)
    # Flushed at every line, so that the output of a killed process is not lost.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    runner = JobRunner(*pickle.loads(connection.recv_bytes()))
    connection.send(READY)
    while True:
        try:
            overrides, number = connection.recv()
        except EOFError:
            return
        connection.send_bytes(cloudpickle.dumps(runner.run(overrides, number)))


class JobRunner:
    """Runner of Hydra jobs, with the singletons, context, config and task of the parent process."""

    def __init__(
        self, singletons: Any, context: Any, config: Any, task: Any, defined: Mapping[str, bytes]
    ) -> None:
        setup_globals()
        Singleton.set_state(singletons)
        self._context, self._config, self._task = context, config, task
        enter_script(getattr(task, "task", task), defined)  # that of a study is in its worker

    def run(self, overrides: list[str], number: int) -> JobReturn:
        """Compose and run one job, and write its output to its folder."""
        try:
            config = self._job_config(overrides, number)
        except Exception as error:  # another process would fail in the same way
            return failed_job(error)
        HydraConfig.instance().set_config(config)
        subdir = OmegaConf.select(config, "hydra.sweep.subdir")
        with output_to(Path(str(config.hydra.sweep.dir)) / str(subdir)):
            return run_job(
                hydra_context=self._context,
                task_function=self._task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )

    def _job_config(self, overrides: list[str], number: int) -> DictConfig:
        """Return the config of a job. A task that knows how to compose it faster does so."""
        if hasattr(self._task, "job_config"):
            config: DictConfig = self._task.job_config(number)
            return config
        config = self._context.config_loader.load_sweep_config(self._config, overrides)
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return config


def failed_job(error: BaseException) -> JobReturn:
    """Return the result of a job that could not run, or whose process died."""
    result = JobReturn()
    result.status, result.return_value = JobStatus.FAILED, error
    return result


def exit_with_parent(lifeline_descriptor: int) -> None:
    """Exit, with all that this process has started, when the pipe's other end closes.

    The parent closes it only after this process has ended, so an earlier close means that the
    parent has died.
    """
    os.read(lifeline_descriptor, 1)
    exit_with_children(1)


if __name__ == "__main__":
    leave(main, *map(int, sys.argv[1:]))
