"""The agenda of a study whose search is over: the jobs that are left."""

import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import FAILURE_KEY, POINT_KEY, SURPLUS, is_own, was_not_needed
from sweeper.sweep.finals.final_job import SCORES_KEY, WARNINGS_KEY, FinalJob
from sweeper.sweep.finals.final_records import (
    ASKED_RECORD,
    FINALISTS_RECORD,
    SCORES_RECORD,
    Finalists,
    Scores,
)
from sweeper.sweep.finals.race import Values, race
from sweeper.sweep.finals.stage import finals_budget, finals_name, finals_place
from sweeper.sweep.folder_id import has_files_of
from sweeper.sweep.lease import Lease
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.results.front import best_trials, chosen_trial, ranked_trials
from sweeper.sweep.results.trial_folder import TrialLayout
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage, read_trials
from sweeper.sweep.study import open_study
from sweeper.sweep.verdict import failure_text


def prepare_finals(spec: StudySpec, storage: BaseStorage, directions: Sequence[str]) -> None:
    """Create the study that keeps the jobs, if there will be any and it does not exist yet.

    The study of the search gets a record of the race that is asked for.
    """
    stage = spec.finals
    if stage.is_needed:
        optuna.create_study(
            study_name=finals_name(spec.name),
            storage=finals_storage(spec, storage),
            directions=[StudyDirection[d.upper()] for d in directions],
            load_if_exists=True,
        )
    if stage.n_finalists:
        asked = {"n": stage.n_finalists, "seeds": list(stage.seeds)}
        _record(open_study(spec.name, storage), ASKED_RECORD, asked)


def finals_storage(spec: StudySpec, storage: BaseStorage) -> BaseStorage:
    """Return the storage of the jobs; `storage` is that of the search."""
    place = finals_place(spec.storage, spec.folder)
    return storage if place is spec.storage else open_storage(place, spec.folder)


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
        self._spec, self._storage = spec, finals_storage(spec, storage)
        self._search = open_study(spec.name, storage)
        finals = open_study(finals_name(spec.name), self._storage)
        self._finals_id = finals._study_id
        budget = finals_budget(spec.budget, spec.finals)
        self.ledger = Ledger(finals, self._storage, spec.folder, budget, command=spec.command)

    def has_work(self) -> bool:
        """Return whether a worker could do a job now.

        Before the search is over, abandoned jobs are put back, or they would seem to run.
        """
        with self.ledger.locked():
            if not self._search_is_over():
                self.ledger.put_back_abandoned()
                return False
            missing = self._missing()
        return missing is not None or self.ledger.has_work()

    def add_next(self) -> bool:
        """Add the next job that nobody has begun, so that it can be claimed.

        Return False while the search goes on: until then nobody knows which jobs are needed.
        """
        with self.ledger.locked():
            if not self._search_is_over():
                return False
            job = self._missing()
            if job is not None:
                template = job.template(self.subject(job))
                self._storage.create_new_trial(self._finals_id, template_trial=template)
            return True

    def awaits_search(self) -> bool:
        """Return whether the end of trials that run elsewhere will leave runs for this worker."""
        if self._spec.finals.n_finalists == 0:
            return False
        trials, budget = self._searched(), self._spec.budget
        goes_wrong = budget.fatal(trials) is not None or budget.too_many_failed(trials)
        # If a time limit is all that ends the search, the jobs follow it.
        deadline = self.ledger.budget.deadline
        is_late = deadline is not None and time.time() >= deadline
        runs = any(t.state == TrialState.RUNNING and is_own(t) for t in trials)
        return runs and not goes_wrong and not is_late

    def subject(self, job: FinalJob) -> FrozenTrial:
        """Return the search's trial that a job is about."""
        return self._search.get_trials(deepcopy=False)[job.trial]

    def size(self) -> float:
        """Return how many workers could be of use."""
        stage = self._spec.finals
        return max(1, stage.n_finalists * len(stage.seeds))

    def text(self, trial: FrozenTrial) -> str:
        """Return a job in words."""
        return FinalJob.of(trial).text

    def trials(self) -> list[FrozenTrial]:
        """Return the trials that stand for jobs."""
        return self.ledger.trials()

    def _searched(self) -> list[FrozenTrial]:
        return read_trials(self._search._storage, self._search._study_id)

    def _search_is_over(self) -> bool:
        return search_is_over(self._spec, self._searched(), time.time())

    def _missing(self) -> FinalJob | None:
        """Return the first job that is still to be added, or None."""
        jobs, budget = [t for t in self.trials() if not was_not_needed(t)], self.ledger.budget
        if budget.is_spent(jobs, time.time()):
            return None
        # One that failed under this command is tried again by a later one only.
        done = list(filter(budget.counts, jobs))
        runs = self._missing_runs(done)
        self._end_unneeded(done, runs)
        if runs:
            begun = {t.system_attrs[POINT_KEY] for t in done}
            return next((job for job in runs if job.key not in begun), None)
        best = best_trials(self._search)
        winner = chosen_trial(best, self._search.directions, self._spec.finals.choice)
        if winner is None or self._spec.finals.conclude is None:
            return None
        return self._missing_scores(winner, jobs)

    def _missing_runs(self, done: Sequence[FrozenTrial]) -> list[FinalJob]:
        """Return the runs that the race of the finalists lacks; record the race if it is over."""
        stage, maximize = self._spec.finals, self._search.directions[0] == StudyDirection.MAXIMIZE
        if stage.n_finalists == 0:
            return []
        trials = [t.number for t in ranked_trials(self._search)[: stage.n_finalists]]
        if len(trials) < 2:
            return []
        found = race(self._values(trials, done), len(stage.seeds), maximize)
        if not found.runs:
            failed = {place.trial for place in found.places if place.has_failed}
            finalists = Finalists(trials, stage.seeds, found.places, _failures(done, failed))
            _record(self._search, FINALISTS_RECORD, finalists.record())
        return [FinalJob(number, stage.seeds[index]) for number, index in found.runs]

    def _values(self, trials: Sequence[int], done: Sequence[FrozenTrial]) -> dict[int, Values]:
        """Return the value of each finalist for each seed whose run has ended."""
        ended = {t.system_attrs[POINT_KEY]: t for t in done if t.state.is_finished()}
        seeds = self._spec.finals.seeds
        keys = {t: {i: FinalJob(t, seed).key for i, seed in enumerate(seeds)} for t in trials}
        return {
            t: {i: _value(ended[key]) for i, key in keys[t].items() if key in ended} for t in trials
        }

    def _end_unneeded(self, done: Sequence[FrozenTrial], runs: Sequence[FinalJob]) -> None:
        """End the runs that no worker has although their finalists have been dropped meanwhile."""
        needed = {job.key for job in runs}
        for trial in done:
            is_run = FinalJob.of(trial).seed is not None
            is_needed = trial.system_attrs[POINT_KEY] in needed
            is_left = trial.state == TrialState.WAITING or self.ledger.is_abandoned(trial)
            if is_left and is_run and not is_needed:
                with suppress(UpdateFinishedTrialError):
                    self._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, SURPLUS)
                    self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def _missing_scores(self, winner: FrozenTrial, jobs: Sequence[FrozenTrial]) -> FinalJob | None:
        """Return the job that scores the winner, unless it has been added; record its scores."""
        job = FinalJob(winner.number)
        same = [t for t in jobs if t.system_attrs[POINT_KEY] == job.key]
        counting = [t for t in same if self.ledger.budget.counts(t)]
        done_jobs = [t for t in same if t.state == TrialState.COMPLETE]
        for trial in (done_jobs or same)[-1:]:
            if trial.state.is_finished():
                scores = _scores(winner, trial)
                names = Scores.by_name(self._search.user_attrs, winner.number).keys()
                former = sorted(names - scores.values.keys())
                _record(self._search, SCORES_RECORD, replace(scores, former=former).record())
        return None if counting or not self._is_here(winner) else job

    def _is_here(self, trial: FrozenTrial) -> bool:
        """Return whether this host has the files of a trial, which another one may have run.

        A trial that was run here and wrote nothing may have no folder.
        """
        layout = TrialLayout.recorded(trial) or TrialLayout(str(trial.number))
        lease, exists = Lease.read(trial.system_attrs), (self._spec.folder / layout.subdir).is_dir()
        if not exists and lease is not None and lease.is_of_this_host:
            return True
        return has_files_of(trial, self._spec.folder, layout.subdir)


def _record(study: optuna.Study, key: str, record: Mapping[str, Any]) -> None:
    if study.user_attrs.get(key) != record:
        study.set_user_attr(key, record)


def _value(run: FrozenTrial) -> float | None:
    """Return the value of a run that has ended; None if it failed."""
    return run.value if run.state == TrialState.COMPLETE else None


def _failures(runs: Sequence[FrozenTrial], finalists: Container[int]) -> dict[int, str]:
    """Return why a run of each of these finalists failed."""
    reasons: dict[int, str] = {}
    for run in runs:
        job = FinalJob.of(run)
        if run.state == TrialState.FAIL and job.seed is not None and job.trial in finalists:
            reasons.setdefault(job.trial, failure_text(run))
    return reasons


def _scores(winner: FrozenTrial, job: FrozenTrial) -> Scores:
    """Return the scores that a job which has ended has given the winner."""
    if job.state == TrialState.COMPLETE:
        attrs = job.user_attrs
        return Scores(winner.number, attrs[SCORES_KEY], warnings=attrs.get(WARNINGS_KEY, ()))
    return Scores(winner.number, failure=failure_text(job))
