"""Who runs which trial: claims that are exact across processes, and their endings.

A trial is one Optuna trial for life: a retry runs the same one again, so its number, folder,
parameters and reported values stay. A lock file in the study's folder makes a claim atomic among
processes that see the folder; where they share only a database, each of Optuna's own steps is
atomic, and the lease's token is checked before every ending, so a trial still ends exactly once.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.storage import file_lock

FAILURE_KEY = "failure"
POINT_KEY = "sweeper:point"
FIXED_KEY = "fixed_params"  # Optuna's own: what a trial is given instead of sampled values.
SURPLUS = "surplus: the budget was already taken"
LOCK_FILE = ".claims.lock"


@dataclass(frozen=True)
class Budget:
    """How much a study may run.

    `n_trials` counts complete and pruned trials; with `exhaustive` it is the points of a grid, of
    which each is run once, and once more by a later command if it failed. `deadline` and `since`
    are seconds since the epoch: when this command must end, and when it began. `max_failures` is
    how many trials may fail under one command.
    """

    n_trials: int | None
    exhaustive: bool = False
    deadline: float | None = None
    since: float = 0.0
    max_failures: int | None = None
    max_retries: int = 3
    lease_seconds: float = 60.0


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run."""

    trial_id: int
    number: int
    lease: Lease

    @property
    def attempt(self) -> int:
        """How many attempts were cut short before this one."""
        return self.lease.cuts


class Ledger:
    """The claims of one study."""

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        folder: Path,
        budget: Budget,
        grid: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._study, self._storage, self._budget, self._grid = study, storage, budget, grid
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._lock = folder / LOCK_FILE

    def claim(self) -> Claim | None:
        """Claim an abandoned trial, a waiting one or a new one; None when nothing is left."""
        with file_lock(self._lock):
            trials = self._trials()
            if self.spent(trials):
                return None
            return self._abandoned(trials) or self._waiting(trials) or self._new()

    def spent(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether the study must not start another trial, retries included."""
        budget = self._budget
        if budget.deadline is not None and time.time() >= budget.deadline:
            return True
        if self.too_many_failed(trials):
            return True
        return budget.n_trials is not None and self.finished(trials) >= budget.n_trials

    def has_work(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether a worker could claim a trial now."""
        if self.spent(trials):
            return False
        now = time.time()
        left = any(t.state == TrialState.WAITING for t in trials)
        gone = (t for t in trials if t.state == TrialState.RUNNING)
        return left or any(self._is_abandoned(t, now) for t in gone) or self._has_place(trials)

    def finished(self, trials: Sequence[FrozenTrial]) -> int:
        """Count the trials that use up the budget for good."""
        return sum(t.state.is_finished() and self._counts(t) for t in trials)

    def too_many_failed(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether more trials failed under this command than the study allows."""
        limit = self._budget.max_failures
        return limit is not None and len(failures(trials, self._budget.since)) > limit

    def renew(self, claim: Claim) -> bool:
        """Extend the claim's lease; False when the trial is no longer this worker's."""
        with file_lock(self._lock):
            if not self._owns(claim):
                return False
            expires = time.time() + self._budget.lease_seconds
            self._write(claim.trial_id, replace(claim.lease, expires=expires))
            return True

    def owns(self, claim: Claim) -> bool:
        """Tell whether the trial is still this worker's to run."""
        return self._owns(claim)

    def release(self, claim: Claim) -> None:
        """Put the trial back for a later worker, to go on where this one stopped."""
        with file_lock(self._lock):
            if self._owns(claim):
                self._write(claim.trial_id, replace(claim.lease, cuts=claim.lease.cuts + 1))
                self._storage.set_trial_state_values(claim.trial_id, TrialState.WAITING)

    def finish(
        self,
        claim: Claim,
        state: TrialState,
        values: Sequence[float] | None = None,
        notes: dict[str, Any] | None = None,
    ) -> bool:
        """End the trial; False (and nothing written) when it is no longer this worker's."""
        with file_lock(self._lock):
            if not self._owns(claim):
                return False
            for key, value in (notes or {}).items():
                self._storage.set_trial_user_attr(claim.trial_id, key, value)
            self._study.tell(claim.number, values, state)
            return True

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _counts(self, trial: FrozenTrial) -> bool:
        """A failed trial gives its place back; in a grid, only to a later command."""
        if trial.state != TrialState.FAIL:
            return True
        return self._budget.exhaustive and bool(failures([trial], self._budget.since))

    def _owns(self, claim: Claim) -> bool:
        trial = self._storage.get_trial(claim.trial_id)
        lease = Lease.read(trial.system_attrs)
        running = trial.state == TrialState.RUNNING
        return running and lease is not None and lease.token == claim.lease.token

    def _write(self, trial_id: int, lease: Lease) -> None:
        self._storage.set_trial_system_attr(trial_id, LEASE_KEY, lease.record())

    def _abandoned(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        now = time.time()
        for trial in trials:
            if trial.state != TrialState.RUNNING or not self._is_abandoned(trial, now):
                continue
            old = Lease.read(trial.system_attrs)
            deaths, cuts = (old.deaths + 1, old.cuts + 1) if old else (1, 1)
            if deaths <= self._budget.max_retries:
                return self._take(trial, deaths, cuts)
            self._give_up(trial, old, deaths)
        return None

    def _has_place(self, trials: Sequence[FrozenTrial]) -> bool:
        n_trials = self._budget.n_trials
        return n_trials is None or sum(map(self._counts, trials)) < n_trials

    def _is_abandoned(self, trial: FrozenTrial, now: float) -> bool:
        lease = Lease.read(trial.system_attrs)
        if lease is not None:
            return lease.lapsed(now)
        # Its worker died between taking a waiting trial and signing for it.
        started = trial.datetime_start
        return started is None or now > started.timestamp() + self._budget.lease_seconds

    def _give_up(self, trial: FrozenTrial, lease: Lease | None, deaths: int) -> None:
        last = f", the last one process {lease.pid} on {lease.host.split('/')[0]}" if lease else ""
        reason = f"its worker died {deaths} times{last}"
        self._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, reason)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _waiting(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        for trial in trials:
            if trial.state != TrialState.WAITING or self._place(trials, trial) is None:
                continue
            try:
                won = self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if won:
                old = Lease.read(trial.system_attrs)
                return self._take(trial, old.deaths if old else 0, old.cuts if old else 0)
        return None

    def _take(self, trial: FrozenTrial, deaths: int, cuts: int) -> Claim:
        lease = Lease.take(self._budget.lease_seconds, deaths, cuts)
        self._write(trial._trial_id, lease)
        return Claim(trial._trial_id, trial.number, lease)

    def _new(self) -> Claim | None:
        """Create a trial that bears its lease from the start, if the budget has a place for it."""
        place = self._place(self._trials())
        if place is None:
            return None
        lease = Lease.take(self._budget.lease_seconds)
        marks: dict[str, Any] = {LEASE_KEY: lease.record()}
        if self._budget.exhaustive:
            marks |= {POINT_KEY: place, FIXED_KEY: self._grid[place]}
        template = create_trial(state=TrialState.RUNNING, system_attrs=marks)
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        trial = self._storage.get_trial(trial_id)
        # Workers that share no folder may both have seen the last place: the lower number has it.
        if self._place(self._trials(), trial) is not None:
            return Claim(trial_id, trial.number, lease)
        self._storage.set_trial_user_attr(trial_id, FAILURE_KEY, SURPLUS)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        return None

    def _place(self, trials: Sequence[FrozenTrial], trial: FrozenTrial | None = None) -> int | None:
        """Return the place in the budget that a trial has, or a next one would have, or None.

        It goes by the trials with lower numbers, so all workers always agree on it.
        """
        earlier = [t for t in trials if self._counts(t) and (not trial or t.number < trial.number)]
        if not self._budget.exhaustive:
            n, n_trials = len(earlier), self._budget.n_trials
            return n if n_trials is None or n < n_trials else None
        taken = {t.system_attrs.get(POINT_KEY) for t in earlier}
        wanted = range(len(self._grid)) if trial is None else [trial.system_attrs.get(POINT_KEY)]
        return next((p for p in wanted if p not in taken), None)


def failures(trials: Sequence[FrozenTrial], since: float = 0.0) -> list[FrozenTrial]:
    """Return the trials that failed after `since`, without those that only ran into the budget."""
    return [
        t
        for t in trials
        if t.state == TrialState.FAIL
        and t.user_attrs.get(FAILURE_KEY) != SURPLUS
        and t.datetime_complete is not None
        and t.datetime_complete.timestamp() >= since
    ]
