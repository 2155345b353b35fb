"""Claiming and ending trials, so that each trial runs in one worker at a time and ends once.

A retry runs the same Optuna trial again, so that its number, folder, parameters and reported
values stay. A lock file in the study's folder makes a claim atomic among the processes that share
the folder. Workers that share only a database rely on two facts: each of Optuna's own storage
operations is atomic, and the token of the lease is checked before a trial is ended.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.sweep.budget import FAILURE_KEY, POINT_KEY, SURPLUS, Budget
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.storage import file_lock

# Optuna's own key: `suggest_*` returns these values instead of sampling.
FIXED_PARAMS_KEY = "fixed_params"
LOCK_FILE = ".claims.lock"


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run."""

    trial_id: int
    number: int
    lease: Lease

    @property
    def attempt(self) -> int:
        """Number of earlier attempts at this trial; 0 for the first attempt."""
        return self.lease.cuts


class Ledger:
    """The claims on the trials of one study.

    `grid` lists its points if the study runs every point of a grid.
    """

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
        """Claim an abandoned trial, a waiting one or a new one; return None if there is none."""
        while True:
            # A worker that does not share the folder may end a trial after its state was read.
            with file_lock(self._lock), suppress(UpdateFinishedTrialError):
                trials = self._trials()
                if self._budget.is_spent(trials, time.time()):
                    return None
                abandoned = self._claim_abandoned(trials)
                return abandoned or self._claim_waiting(trials) or self._claim_new()

    def has_work(self) -> bool:
        """Return whether a worker could claim a trial now."""
        with file_lock(self._lock):
            trials, now = self._trials(), time.time()
            if self._budget.is_spent(trials, now):
                return False
            waiting = any(t.state == TrialState.WAITING for t in trials)
            abandoned = any(self._is_abandoned(t, now) for t in trials)
            return waiting or abandoned or self._budget.next_index(trials) is not None

    def renew(self, claim: Claim) -> bool:
        """Extend the lease; return False when the trial no longer belongs to this worker."""
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if not self.owns(claim):
                return False
            expires = time.time() + self._budget.lease_seconds
            self._write_lease(claim.trial_id, replace(claim.lease, expires=expires))
            return True
        return False

    def owns(self, claim: Claim) -> bool:
        """Return whether the trial still belongs to this worker."""
        trial = self._storage.get_trial(claim.trial_id)
        lease = Lease.read(trial.system_attrs)
        running = trial.state == TrialState.RUNNING
        return running and lease is not None and lease.token == claim.lease.token

    def release(self, claim: Claim) -> None:
        """Put the trial back as waiting, so that a later worker resumes it."""
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if self.owns(claim):
                lease = replace(claim.lease, cuts=claim.lease.cuts + 1)
                self._write_lease(claim.trial_id, lease)
                self._storage.set_trial_state_values(claim.trial_id, TrialState.WAITING)

    def finish(
        self,
        claim: Claim,
        state: TrialState,
        values: Sequence[float] | None = None,
        user_attrs: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the trial with this state.

        Return False, and write nothing, when the trial no longer belongs to this worker.
        """
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if not self.owns(claim):
                return False
            for key, value in (user_attrs or {}).items():
                self._storage.set_trial_user_attr(claim.trial_id, key, value)
            try:
                self._study.tell(claim.number, values, state)
            except ValueError:
                # Optuna raises it both for a trial that is not running and for invalid values.
                if self.owns(claim):
                    raise
                return False
            return True
        return False

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _write_lease(self, trial_id: int, lease: Lease) -> None:
        self._storage.set_trial_system_attr(trial_id, LEASE_KEY, lease.record())

    def _claim_abandoned(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        now = time.time()
        for trial in trials:
            if not self._is_abandoned(trial, now):
                continue
            previous = Lease.read(trial.system_attrs)
            deaths, cuts = (previous.deaths + 1, previous.cuts + 1) if previous else (1, 1)
            if deaths <= self._budget.max_retries:
                return self._claim_running(trial, deaths, cuts)
            self._fail_after_deaths(trial, previous, deaths)
        return None

    def _is_abandoned(self, trial: FrozenTrial, now: float) -> bool:
        if trial.state != TrialState.RUNNING:
            return False
        if self._lock.read_text() == str(trial._trial_id):
            return True
        lease = Lease.read(trial.system_attrs)
        if lease is not None:
            return lease.lapsed(now)
        started = trial.datetime_start
        return started is None or now > started.timestamp() + self._budget.lease_seconds

    def _fail_after_deaths(self, trial: FrozenTrial, lease: Lease | None, deaths: int) -> None:
        last = (
            f"; the last one was process {lease.pid} on {lease.host.split('/')[0]}" if lease else ""
        )
        times = "once" if deaths == 1 else f"{deaths} times"
        reason = f"its worker died {times}{last}"
        self._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, reason)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _claim_waiting(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        for trial in trials:
            waiting = trial.state == TrialState.WAITING
            if waiting and self._budget.admits(trial, trials) and self._set_running(trial):
                previous = Lease.read(trial.system_attrs)
                deaths, cuts = (previous.deaths, previous.cuts) if previous else (0, 0)
                return self._claim_running(trial, deaths, cuts)
        return None

    def _set_running(self, trial: FrozenTrial) -> bool:
        """Set a waiting trial running; return False if another worker did so first.

        The trial's id stays in the lock file until the lease is written. If this process dies in
        between, the next process that holds the lock knows that nobody runs the trial.
        """
        self._lock.write_text(str(trial._trial_id))
        succeeded = False
        with suppress(UpdateFinishedTrialError):
            succeeded = self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        if not succeeded:
            self._lock.write_text("")
        return succeeded

    def _claim_running(self, trial: FrozenTrial, deaths: int, cuts: int) -> Claim:
        """Claim a trial that is marked as running but that no worker runs."""
        lease = Lease.new(self._budget.lease_seconds, deaths, cuts)
        self._write_lease(trial._trial_id, lease)
        self._lock.write_text("")
        return Claim(trial._trial_id, trial.number, lease)

    def _claim_new(self) -> Claim | None:
        """Create a trial together with its lease, or return None if the budget is used up."""
        index = self._budget.next_index(self._trials())
        if index is None:
            return None
        lease = Lease.new(self._budget.lease_seconds)
        system_attrs: dict[str, Any] = {LEASE_KEY: lease.record()}
        if self._budget.exhaustive:
            system_attrs |= {POINT_KEY: index, FIXED_PARAMS_KEY: self._grid[index]}
        template = create_trial(state=TrialState.RUNNING, system_attrs=system_attrs)
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        trial = self._storage.get_trial(trial_id)
        # Two workers that share no folder may both create the last trial; only one of them is run.
        if self._budget.admits(trial, self._trials()):
            return Claim(trial_id, trial.number, lease)
        self._storage.set_trial_user_attr(trial_id, FAILURE_KEY, SURPLUS)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        return self._claim_new()  # The trial with the lower number may have failed meanwhile.
