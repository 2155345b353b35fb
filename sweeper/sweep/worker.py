"""A worker: claim a trial, suggest, compose, run the task, tell, and claim the next."""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import optuna
from hydra.core.utils import JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig
from optuna.trial import TrialState

from sweeper import trial as current_trial
from sweeper.launch.output import output_to
from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.compose import Composer, job_subdir
from sweeper.sweep.grid import required_grid
from sweeper.sweep.interrupt import Interrupt
from sweeper.sweep.lease import Renewer
from sweeper.sweep.ledger import Claim, Ledger
from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.observer import Outcome
from sweeper.sweep.outcome import FAILURE_FILE, Verdict, find_twin, judge_error, judge_return
from sweeper.sweep.reporter import StudyReporter
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import open_study
from sweeper.sweep.suggest import suggest
from sweeper.trial import TrialInfo

log = logging.getLogger(__name__)
STATE_NAMES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}


@dataclass(frozen=True)
class WorkerReport:
    """What a worker did, for its sweeper."""

    n_trials: int
    interrupted: bool


@dataclass(frozen=True)
class Worker:
    """The task that the sweeper hands to a launcher instead of the user's own.

    It pickles, so any launcher can carry it; `master` is Hydra's config of the whole sweep.
    """

    spec: StudySpec
    task: TaskFunction
    context: HydraContext
    master: DictConfig
    pulls = True  # A launcher may start it again after a death: it takes up what was left.

    def __call__(self, _: DictConfig) -> "WorkerReport":
        """Run trials until the budget is spent."""
        setup_globals()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        n_trials = 0
        with Interrupt() as interrupt:
            session = Session(self, interrupt)
            while not interrupt.requested and (claim := session.ledger.claim()) is not None:
                session.run(claim)
                n_trials += 1
        configure_log(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        return WorkerReport(n_trials, interrupt.requested)


class Session:
    """One worker's open study."""

    def __init__(self, worker: Worker, interrupt: Interrupt) -> None:
        spec = worker.spec
        self._worker, self._spec, self._interrupt = worker, spec, interrupt
        self._storage = open_storage(spec.storage, spec.folder)
        self._study = open_study(spec.name, self._storage, spec.sampler.sampler(), spec.pruner)
        composer = Composer(worker.context.config_loader, worker.master, spec.space)
        self._composer, self._live = composer, LiveSpace(spec.space, composer)
        grid = required_grid(self._live) if spec.budget.exhaustive else ()
        self.ledger = Ledger(self._study, self._storage, spec.folder, spec.budget, grid)

    def run(self, claim: Claim) -> None:
        """Run one claimed trial to whatever end it has."""
        with Renewer(lambda: self.ledger.renew(claim), self._spec.budget.lease_seconds) as renewer:
            if self._spec.sampler.seeded:
                self._study.sampler = self._spec.sampler.sampler(claim.number)
            trial = optuna.Trial(self._study, claim.trial_id)
            try:
                params = self._suggest(trial)
            except Exception as error:
                self._end(claim, judge_error(error), None)
                return
            if not self._told_by_twin(claim, trial):
                self._attempt(claim, trial, params, renewer)

    def _suggest(self, trial: optuna.Trial) -> Params:
        params = suggest(trial, self._live)
        if self._spec.extend_space is None:
            return params
        get_method(self._spec.extend_space)(self._worker.master, trial)
        return params | {k: v for k, v in trial.params.items() if k not in params}

    def _told_by_twin(self, claim: Claim, trial: optuna.Trial) -> bool:
        """End a trial that an earlier one has already answered, without running it."""
        trials = self._study.get_trials(deepcopy=False)
        named = self._storage.get_trial(claim.trial_id).params
        twin = find_twin(trials, named) if not claim.attempt else None
        if twin is None:
            return False
        values = tuple(twin.values or ()) if twin.state == TrialState.COMPLETE else ()
        if twin.state == TrialState.PRUNED and twin.last_step is not None:
            trial.report(twin.intermediate_values[twin.last_step], twin.last_step)
        notes = {"duplicate_of": twin.number}
        self.ledger.finish(claim, twin.state, values or None, notes)
        return True

    def _attempt(self, claim: Claim, trial: optuna.Trial, params: Params, renewer: Renewer) -> None:
        folder = self._spec.folder
        try:
            config = self._composer.compose(params, claim.number, folder)
            info = self._info(claim, params, folder / job_subdir(config))
        except Exception as error:
            self._end(claim, judge_error(error), None)
            return
        reporter = StudyReporter(
            info,
            trial,
            claim,
            self.ledger,
            renewer,
            self._interrupt,
            deadline=self._spec.budget.deadline,
            constraints=self._spec.constraints,
        )
        with current_trial.reported_by(reporter), self._output(info.folder):
            self._spec.observers.trial_started(info)
            try:
                verdict = self._execute(config, reporter)
            except KeyboardInterrupt:
                self.ledger.release(claim)
                raise
            self._end(claim, verdict, info)

    def _output(self, folder: Path) -> AbstractContextManager[None]:
        return output_to(folder) if self._spec.capture_output else nullcontext()

    def _execute(self, config: DictConfig, reporter: StudyReporter) -> Verdict:
        """Run the task; whatever it raises becomes the trial's verdict."""
        try:
            job = run_job(
                hydra_context=self._worker.context,
                task_function=self._worker.task,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except (Exception, SystemExit) as error:
            return judge_error(error)
        if job.status == JobStatus.FAILED:
            return judge_error(job._return_value)
        n_objectives = len(self._study.directions)
        return judge_return(job.return_value, n_objectives, reporter.stop_reason())

    def _end(self, claim: Claim, verdict: Verdict, info: TrialInfo | None) -> None:
        if verdict.state is None:
            self.ledger.release(claim)
        elif self._finish(claim, verdict) and verdict.state == TrialState.FAIL:
            log.warning("Trial %d failed: %s", claim.number, verdict.reason)
            folder = info.folder if info else self._spec.folder / str(claim.number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FAILURE_FILE).write_text(f"{verdict.reason}\n\n{verdict.details}")
        if info is not None:
            state = STATE_NAMES.get(verdict.state, "failed") if verdict.state else "released"
            self._spec.observers.trial_finished(
                info, Outcome(state, verdict.values, verdict.reason)
            )

    def _finish(self, claim: Claim, verdict: Verdict) -> bool:
        failed = verdict.state == TrialState.FAIL
        notes = {FAILURE_KEY: verdict.reason} if failed else None
        assert verdict.state is not None
        return self.ledger.finish(claim, verdict.state, verdict.values or None, notes)

    def _info(self, claim: Claim, params: Params, folder: Path) -> TrialInfo:
        return TrialInfo(
            study=self._spec.name,
            number=claim.number,
            attempt=claim.attempt,
            folder=folder,
            params=params,
            parent_id=self._spec.parent_id,
        )
