"""The jobs of one worker that follow the search: each is claimed, run and ended like a trial."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig, open_dict, read_write
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeper import trial as current_trial
from sweeper.cli.interrupts import Interrupt
from sweeper.secrets import without_password
from sweeper.space.compose import Composer
from sweeper.space.live import Params
from sweeper.sweep.attempt import SEED_KEY, Attempt
from sweeper.sweep.claim import Claim
from sweeper.sweep.finals.agenda import Agenda, finals_storage
from sweeper.sweep.finals.final_job import SCORES_KEY, WARNINGS_KEY, FinalJob
from sweeper.sweep.finals.stage import finals_budget, finals_name, finals_place
from sweeper.sweep.ledger import WAIT_SECONDS
from sweeper.sweep.observer import Observers
from sweeper.sweep.reporter import StudyReporter
from sweeper.sweep.results.deviation import typical_values
from sweeper.sweep.results.ended_trial import EndedTrial
from sweeper.sweep.results.trial_folder import has_files, layout_of
from sweeper.sweep.session import Session
from sweeper.sweep.settings.recipes import PrunerRecipe, SamplerRecipe
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.verdict import judge_error
from sweeper.text import in_one_line
from sweeper.trial import TrialInfo

FINALS_FOLDER = "finals"


class FinalsSession(Session):
    """Runner of the jobs that follow the search, in one worker.

    No job is pruned, and the observers of the study hear of none. `storage` is that of the search.
    """

    def __init__(
        self,
        spec: StudySpec,
        task: TaskFunction,
        context: HydraContext,
        composer: Composer,
        interrupt: Interrupt,
        storage: BaseStorage,
    ) -> None:
        jobs = finals_storage(spec, storage)
        super().__init__(_spec_of_jobs(spec), task, context, composer, interrupt, jobs)
        self._search = spec
        self._agenda = Agenda(spec, storage)

    def claim(self) -> Claim | None:
        """Return a job to do, or None if there is none or this worker should leave."""
        if self._should_leave() or not self._agenda.add_next():
            return None
        claim = super().claim()
        if claim is None:
            self._agenda.has_work()  # the results of the last job are recorded
        return claim

    def waits(self) -> bool:
        """Wait a moment for trials that run elsewhere; return False if no job will follow them."""
        if self._should_leave() or not self._agenda.awaits_search():
            return False
        time.sleep(WAIT_SECONDS)
        return True

    def run(self, claim: Claim) -> None:
        """Do a claimed job and end it, or put it back if it was asked to stop.

        Raises:
            KeyboardInterrupt: the task was interrupted. The job has been put back.
        """
        job = self._job = FinalJob.of(self.ledger.stored(claim))
        # The folder of the winner is no place for a failure: the winner itself has not failed.
        self._info = self._info_of(job, claim)
        with self._guard(claim) as guard:
            try:
                subject = self._agenda.subject(job)
                prepare = self._prepared_winner if job.seed is None else self._prepared_finalist
                config, info = prepare(subject, self._info)
            except Exception as error:
                self._end_trial(claim, judge_error(error))
                return
            trial = optuna.Trial(self._study, claim.trial_id)
            reporter = StudyReporter(info, trial, claim, self.ledger, guard, {})
            self._run_attempt(claim, config, reporter)

    def _info_of(self, job: FinalJob, claim: Claim) -> TrialInfo:
        return TrialInfo(
            study=self._search.name,
            number=job.trial,
            attempt=claim.attempt,
            folder=self._search.folder / FINALS_FOLDER / job.key,
            params={},
            parent_id=self._search.parent_id,
            seed=job.seed,
        )

    def _prepared_finalist(
        self, subject: FrozenTrial, info: TrialInfo
    ) -> tuple[DictConfig, TrialInfo]:
        """Return the config of a finalist with another seed, and the description of its run."""
        params = EndedTrial(subject, self._live).params
        config = self._composed(params | {SEED_KEY: self._job.seed}, subject.number)
        with read_write(config), open_dict(config), read_write(config.hydra):
            config.hydra.sweep.subdir = str(info.folder.relative_to(self._search.folder))
        params, files = self._live.by_key(subject.params), has_files(info.folder, config)
        return config, replace(info, params=params, has_files=files)

    def _composed(self, params: Params, number: int) -> DictConfig:
        return self._composer.compose(params, number, self._search.folder)

    def _prepared_winner(
        self, subject: FrozenTrial, info: TrialInfo
    ) -> tuple[DictConfig, TrialInfo]:
        """Return the config of the winner's own run, and the description of that run."""
        ended = EndedTrial(subject, self._live)
        params, seed = ended.params, ended.seed
        config = self._composed(params, subject.number)
        subdir = layout_of(subject, self._search.folder, self._live).subdir
        if seed is not None:
            subdir = f"{subdir}/seed-{seed}"
            config = self._composed(params | {SEED_KEY: seed}, subject.number)
        with read_write(config), open_dict(config), read_write(config.hydra):
            config.hydra.sweep.subdir = subdir
            config.hydra.output_subdir = None  # the files of the winner are there already
        folder = self._search.folder / subdir
        # The winner goes on from its checkpoint, as after an interruption.
        info = replace(info, folder=folder, seed=seed, attempt=max(1, info.attempt))
        info = replace(info, values=typical_values(subject))
        return config, replace(info, params=self._live.by_key(subject.params))

    def _attempt(self, claim: Claim, reporter: StudyReporter) -> Attempt:
        attempt, path = super()._attempt(claim, reporter), self._search.finals.conclude
        if self._job.seed is not None or path is None:
            return attempt
        values = tuple(self._agenda.subject(self._job).values)
        return replace(attempt, task=Scoring(get_method(path), values))

    def _claimed_text(self, claim: Claim) -> str:
        return self._job.text


def _spec_of_jobs(spec: StudySpec) -> StudySpec:
    """Return the study of the jobs as a study whose trials are all given."""
    return replace(
        spec,
        name=finals_name(spec.name),
        storage=finals_place(spec.storage, spec.folder),
        budget=finals_budget(spec.budget, spec.finals),
        sampler=SamplerRecipe(RandomSampler()),
        pruner=PrunerRecipe(NopPruner()),
        custom_search_space=None,
        observers=Observers(),
        repeats=1,
    )


@dataclass(frozen=True)
class Scoring:
    """Task that scores the winner and notes its scores; it returns the values of the winner.

    What is warned of meanwhile is noted too, since nobody reads the log of this job.
    """

    function: Callable[[DictConfig, TrialInfo | None], Mapping[str, Any]]
    values: tuple[float, ...]

    def __call__(self, config: DictConfig) -> tuple[float, ...]:
        warnings = _Warnings()
        logging.getLogger().addHandler(warnings)
        try:
            scores = self.function(config, current_trial.info())
        finally:
            logging.getLogger().removeHandler(warnings)
        current_trial.note(SCORES_KEY, {str(k): float(v) for k, v in scores.items()})
        current_trial.note(WARNINGS_KEY, warnings.lines)
        return self.values


class _Warnings(logging.Handler):
    """The warnings that are logged while this handler is there, each once and in one line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = without_password(in_one_line(record.getMessage()))
        if line not in self.lines:
            self.lines.append(line)
