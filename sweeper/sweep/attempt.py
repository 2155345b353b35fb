"""One attempt at a trial: its task is run once, or once for each of several seeds."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.trial import TrialState

from sweeper.cli.overrides import override_line
from sweeper.errors import ConfigError
from sweeper.launch.output import output_to
from sweeper.space.compose import Composer, job_subdir
from sweeper.space.live import Params
from sweeper.sweep.budget import DEVIATION_KEY, DONE
from sweeper.sweep.empty_files import remove_empty
from sweeper.sweep.job import run_trial_job
from sweeper.sweep.reporter import StudyReporter
from sweeper.sweep.results.trial_folder import has_files
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.verdict import Verdict, judge_error, judge_return, judge_stop
from sweeper.text import printable

SEED_KEY = "seed"

Values = tuple[float, ...]


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial.

    Args:
        spec: The study.
        task: Function that trains one config.
        context: Hydra's config loader and callbacks.
        composer: Composer of the trials' configs.
        reporter: Connection of the task to the trial.
        params: Parameters of the trial by config key.
        keep: Function that stores the values of the seeds that are done, so that a later attempt
            goes on with the next seed. It returns False if another worker has the trial now.
    """

    spec: StudySpec
    task: TaskFunction
    context: HydraContext
    composer: Composer
    reporter: StudyReporter
    params: Params
    keep: Callable[[Sequence[Values]], bool]

    def run(self, config: DictConfig, done: Sequence[Values]) -> Verdict:
        """Run the task and return the verdict on its return value or its error.

        `config` is the trial's config, and `done` has the values of the seeds that an earlier
        attempt has completed.

        Raises:
            KeyboardInterrupt: the task was interrupted.
        """
        if self.spec.repeats == 1:
            return self._run_in(self.reporter.info.folder, config)
        all_values, first = list(done), first_seed(config)
        for number in range(len(done), self.spec.repeats):
            verdict = self._run_seed(config, first + number, number)
            if verdict.state != TrialState.COMPLETE:
                return verdict
            all_values.append(verdict.values)
            if not self.keep(all_values):
                return judge_stop("lost")
        return mean_verdict(all_values)

    def _run_seed(self, config: DictConfig, seed: int, number: int) -> Verdict:
        """Run the task with one of several seeds, in a folder of its own."""
        trial = self.reporter.info
        subdir = f"{job_subdir(config)}/seed-{seed}"
        folder = self.spec.folder / subdir
        attempt = trial.attempt if folder.exists() else 0
        own = self.composer.compose(self.params | {SEED_KEY: seed}, trial.number, self.spec.folder)
        files = has_files(folder, own)
        info = replace(trial, folder=folder, attempt=attempt, seed=seed, has_files=files)
        with read_write(own), open_dict(own), read_write(own.hydra):
            own.hydra.sweep.subdir = subdir
        self.reporter.start_repeat(info, number)
        return self._run_in(folder, own)

    def _run_in(self, folder: Path, config: DictConfig) -> Verdict:
        with self._output(folder):
            verdict = self._run_job(config)
        if verdict.state in DONE:
            remove_empty(folder, config)
        return verdict

    def _output(self, folder: Path) -> AbstractContextManager[None]:
        return output_to(folder) if self.spec.own_process else nullcontext()

    def _run_job(self, config: DictConfig) -> Verdict:
        try:
            job = run_trial_job(self.context, self.task, config)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # such as SystemExit, or asyncio's CancelledError
            return judge_error(error, self.reporter.stop_reason())
        if job.status == JobStatus.FAILED:
            return judge_error(job._return_value, self.reporter.stop_reason())
        return judge_return(job.return_value, self.spec.objectives, self.reporter.stop_reason())


def first_seed(config: DictConfig, setting: str = "repeats") -> int:
    """Return the seed of the config, which is the first one of a repeated trial.

    `setting` is the key of `hydra.sweeper` that needs it, for the message.

    Raises:
        ConfigError: the config has no such key, or its value is not a whole number.
    """
    seed: Any = OmegaConf.select(config, SEED_KEY)
    if isinstance(seed, bool) or not isinstance(seed, int):
        is_there = SEED_KEY in config
        shown = f"is {printable(override_line('', seed)[1:])}" if is_there else "is not there"
        raise ConfigError(
            f"hydra.sweeper.{setting}: needs a whole number as the config's key {SEED_KEY}, which "
            f"{shown}; type {'' if is_there else '+'}{SEED_KEY}=0, and let the task use it"
        )
    return seed


def mean_verdict(repeats: Sequence[Values]) -> Verdict:
    """Return the verdict on a trial from the values that its objectives have for each seed."""
    objectives = list(zip(*repeats, strict=True))
    attrs = {DEVIATION_KEY: [statistics.stdev(values) for values in objectives]}
    means = tuple(statistics.fmean(values) for values in objectives)
    return Verdict(TrialState.COMPLETE, means, user_attrs=attrs)
