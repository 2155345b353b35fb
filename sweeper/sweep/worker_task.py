"""A worker, which claims and runs trials until the budget is spent."""

import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus, configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from sweeper.cli.interrupts import SIGNALS, WARNINGS, Interrupt
from sweeper.cli.overrides import quoted
from sweeper.launch.local import LocalPool
from sweeper.space.compose import Composer
from sweeper.space.live import LiveSpace, Params
from sweeper.sweep.finals.finals_session import FinalsSession
from sweeper.sweep.session import Session
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage
from sweeper.text import in_one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerReport:
    """Result of a worker, which its launcher returns to the parent process.

    `interrupted` is True if a signal asked this worker to stop, unless its command had asked all
    its workers to leave.
    """

    interrupted: bool


@dataclass(frozen=True)
class Worker:
    """Task that is given to a Hydra launcher in place of the user's `task`.

    It can be pickled, so any launcher can run it. If it `supervises`, the trials run in a process
    of their own, which is replaced when it dies.
    """

    spec: StudySpec
    task: TaskFunction
    context: HydraContext
    composer: Composer
    supervises: bool = False
    # A launcher may run it again after its process died: it then resumes the abandoned trial.
    restartable = True

    @property
    def master(self) -> DictConfig:
        """Hydra's config of the whole sweep."""
        return self.composer.master

    def elsewhere(self) -> "Worker":
        """Return the worker for a launcher that may run it on another host.

        Hydra may compose other configs there, so it takes none of those that were composed here.
        """
        return replace(self, composer=self.composer.without_configs(), supervises=True)

    def job_overrides(self) -> list[str]:
        """Return the overrides of the worker's own job, whose folder is not that of any trial."""
        return [
            *self.composer.overrides(self._first_point()),
            f"hydra.sweep.dir={quoted(self.spec.folder)}",
            "hydra.sweep.subdir=workers/${hydra.job.num}",
            "hydra.output_subdir=null",
            "hydra.job.chdir=false",
        ]

    def job_config(self, number: int) -> DictConfig:
        """Return the config that Hydra composes from `job_overrides`, in less time.

        Only the list of these overrides is not in it: nobody reads that of a worker's job.
        """
        config = self.composer.compose(self._first_point(), number, self.spec.folder)
        with open_dict(config), read_write(config.hydra):
            config.hydra.sweep.subdir = f"workers/{number}"
            config.hydra.output_subdir = None
            config.hydra.job.chdir = False
        return config

    def _first_point(self) -> Params:
        return LiveSpace(self.spec.space, self.composer).first_point()

    def __call__(self, _: DictConfig) -> WorkerReport:
        """Run trials until the budget is spent or this worker is asked to end."""
        setup_globals()
        return self._supervise() if self.supervises else self._run_trials()

    def _run_trials(self) -> WorkerReport:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with Interrupt() as interrupt:
            storage = open_storage(self.spec.storage, self.spec.folder, waits=True)
            arguments = (self.spec, self.task, self.context, self.composer, interrupt, storage)
            session = Session(*arguments)
            _run_all(session, interrupt)
            if self.spec.finals.is_needed and not interrupt.requested:
                finals = FinalsSession(*arguments)
                _run_all(finals, interrupt)
                while finals.waits():
                    _run_all(session, interrupt)
                    _run_all(finals, interrupt)
            if not interrupt.requested:
                self.spec.observers.worker_finished()
        # Each trial directs Python's logging to its own folder.
        configure_log(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        interrupted = interrupt.requested and not session.ledger.command_has_ended()
        return WorkerReport(interrupted)

    def _supervise(self) -> WorkerReport:
        handlers = _handlers_of_the_launcher()
        signals = (*SIGNALS, *handlers)
        pool = LocalPool(
            self.context, self.master, replace(self, supervises=False), n_jobs=1,
            divides_machine=False, signals=signals,
        )  # fmt: skip
        result = None
        with Interrupt(signals=signals) as interrupt:
            try:
                [result] = pool.run([self.job_overrides()], HydraConfig.get().job.num)
            except KeyboardInterrupt:  # a second signal
                if interrupt.number not in handlers:
                    raise
        if interrupt.number in handlers:
            # The trial is saved and put back. Now the launcher requeues this job and exits, or it
            # refuses, and then the command launches another worker.
            try:
                handlers[interrupt.number](interrupt.number, None)
            except Exception as error:
                log.warning("%s", in_one_line(error))
        if result is None or (interrupt.requested and result.status == JobStatus.FAILED):
            return WorkerReport(interrupted=True)
        report: WorkerReport = result.return_value
        return report


def _run_all(session: Session, interrupt: Interrupt) -> None:
    while (claim := session.claim()) is not None:
        try:
            session.run(claim)
        except KeyboardInterrupt:  # the task has ended, and its trial was put back
            interrupt.request()
        except Exception:  # an error of this worker, such as a full disk, and not of the trial
            with suppress(Exception):  # if the study cannot be reached either
                session.ledger.release(claim)
            raise


def _handlers_of_the_launcher() -> dict[int, Callable[[int, None], object]]:
    """Return the handlers by which a launcher learns of a time limit, such as Slurm's."""
    handlers = {n: signal.getsignal(n) for n in WARNINGS}
    return {int(n): h for n, h in handlers.items() if callable(h)}
