"""The agenda of a study whose search is over: the jobs that are left."""

import time
from collections.abc import Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import POINT_KEY, is_own, was_not_needed
from sweeper.sweep.finals.final_records import SCORES_RECORD, Scores
from sweeper.sweep.finals.job import SCORES_KEY, FinalJob
from sweeper.sweep.finals.stage import finals_budget, finals_name
from sweeper.sweep.ledger import LOCK_FILE, Ledger
from sweeper.sweep.results.front import best_trials, chosen_trial
from sweeper.sweep.results.trial_folder import TrialLayout
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import file_lock, read_trials
from sweeper.sweep.study import open_study
from sweeper.sweep.verdict import failure_text


def prepare_finals(spec: StudySpec, storage: BaseStorage, directions: Sequence[str]) -> None:
    """Create the study that keeps the jobs, if there will be any and it does not exist yet."""
    if spec.finals.is_needed:
        optuna.create_study(
            study_name=finals_name(spec.name),
            storage=storage,
            directions=[StudyDirection[d.upper()] for d in directions],
            load_if_exists=True,
        )


def search_is_over(spec: StudySpec, trials: Sequence[FrozenTrial], now: float) -> bool:
    """Return whether the study has what was asked for, and no worker runs a trial of it.

    `now` is in seconds since 1970.
    """
    budget = spec.budget
    if any(t.state == TrialState.RUNNING and is_own(t) for t in trials):
        return False
    if budget.fatal(trials) is not None or budget.too_many_failed(trials):
        return False
    if budget.has_ended(trials):
        return True
    if budget.n_trials is None:  # the time limit is all that was asked for
        return budget.deadline is not None and now >= budget.deadline
    all_tried = budget.n_finished(trials) >= budget.n_trials or budget.is_exhausted(trials)
    return spec.finals.may_miss_points and all_tried


class Agenda:
    """The jobs that follow the search of one study.

    Whoever looks at the agenda also writes the results of the jobs that are done to the search's
    study, so that they are there although the worker that did a job has died right after it.
    """

    def __init__(self, spec: StudySpec, storage: BaseStorage) -> None:
        self._spec, self._storage = spec, storage
        self._search = open_study(spec.name, storage)
        self._lock = spec.folder / LOCK_FILE
        finals, budget = open_study(finals_name(spec.name), storage), finals_budget(spec.budget)
        self._finals_id = finals._study_id
        self.ledger = Ledger(finals, storage, spec.folder, budget, command=spec.command)

    def has_work(self) -> bool:
        """Return whether a worker could do a job now."""
        with file_lock(self._lock):
            missing = self._missing()
        return missing is not None or self.ledger.has_work()

    def add_next(self) -> None:
        """Add the next job that nobody has begun, so that it can be claimed."""
        with file_lock(self._lock):
            job = self._missing()
            if job is not None:
                template = job.template(self.subject(job))
                self._storage.create_new_trial(self._finals_id, template_trial=template)

    def subject(self, job: FinalJob) -> FrozenTrial:
        """Return the search's trial that a job is about."""
        return self._search.get_trials(deepcopy=False)[job.trial]

    def size(self) -> float:
        """Return how many workers could be of use."""
        return 1

    def text(self, trial: FrozenTrial) -> str:
        """Return a job in words."""
        return FinalJob.of(trial).text

    def trials(self) -> list[FrozenTrial]:
        """Return the trials that stand for jobs."""
        return read_trials(self._storage, self._finals_id)

    def _missing(self) -> FinalJob | None:
        """Return the first job that is still to be added, or None."""
        searched, now = read_trials(self._storage, self._search._study_id), time.time()
        if not search_is_over(self._spec, searched, now):
            return None
        winner = self._winner()
        done = self.trials()
        if winner is None or self.ledger.budget.is_spent(done, now):
            return None
        return self._missing_scores(winner, done)

    def _winner(self) -> FrozenTrial | None:
        best = best_trials(self._search)
        return chosen_trial(best, self._search.directions, self._spec.finals.choice)

    def _missing_scores(self, winner: FrozenTrial, done: Sequence[FrozenTrial]) -> FinalJob | None:
        """Return the job that scores the winner, unless it has been added; record its scores."""
        job = FinalJob(winner.number)
        # One that failed under this command is tried again by a later one only.
        same = [t for t in done if t.system_attrs[POINT_KEY] == job.key and not was_not_needed(t)]
        counting = [t for t in same if self.ledger.budget.counts(t)]
        done_jobs = [t for t in same if t.state == TrialState.COMPLETE]
        for trial in (done_jobs or same)[-1:]:
            if trial.state.is_finished():
                self._record(_scores(winner, trial))
        return None if counting or not self._is_here(winner) else job

    def _record(self, scores: Scores) -> None:
        record = scores.record()
        if self._search.user_attrs.get(SCORES_RECORD) != record:
            self._search.set_user_attr(SCORES_RECORD, record)

    def _is_here(self, trial: FrozenTrial) -> bool:
        """Return whether this host has the files of a trial, which another one may have run."""
        layout = TrialLayout.recorded(trial) or TrialLayout(str(trial.number))
        return (self._spec.folder / layout.subdir).is_dir()


def _scores(winner: FrozenTrial, job: FrozenTrial) -> Scores:
    """Return the scores that a job which has ended has given the winner."""
    if job.state == TrialState.COMPLETE:
        return Scores(winner.number, job.user_attrs[SCORES_KEY])
    return Scores(winner.number, failure=failure_text(job))
