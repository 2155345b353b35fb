"""Who runs which trial: claims that are exact across processes, and their endings.

A trial is one Optuna trial for life: a retry runs the same one again, so its number, folder,
parameters and reported values stay. A lock file in the study's folder makes a claim atomic among
processes that see the folder; where they share only a database, each of Optuna's own steps is
atomic, and the lease's token is checked before every ending, so a trial still ends exactly once.
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

FIXED_KEY = "fixed_params"  # Optuna's own: what a trial is given instead of sampled values.
LOCK_FILE = ".claims.lock"


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
    """The claims of one study; in an exhaustive one `grid` lists the points."""

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
        while True:
            # A worker that shares no folder may end a trial between our look and our claim.
            with file_lock(self._lock), suppress(UpdateFinishedTrialError):
                trials = self._trials()
                if self._budget.spent(trials, time.time()):
                    return None
                return self._abandoned(trials) or self._waiting(trials) or self._new()

    def has_work(self) -> bool:
        """Tell whether a worker could claim a trial now."""
        with file_lock(self._lock):
            trials, now = self._trials(), time.time()
            if self._budget.spent(trials, now):
                return False
            waiting = any(t.state == TrialState.WAITING for t in trials)
            gone = any(self._is_abandoned(t, now) for t in trials)
            return waiting or gone or self._budget.next_place(trials) is not None

    def renew(self, claim: Claim) -> bool:
        """Extend the claim's lease; False when the trial is no longer this worker's."""
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if not self.owns(claim):
                return False
            expires = time.time() + self._budget.lease_seconds
            self._sign(claim.trial_id, replace(claim.lease, expires=expires))
            return True
        return False

    def owns(self, claim: Claim) -> bool:
        """Tell whether the trial is still this worker's to run."""
        trial = self._storage.get_trial(claim.trial_id)
        lease = Lease.read(trial.system_attrs)
        running = trial.state == TrialState.RUNNING
        return running and lease is not None and lease.token == claim.lease.token

    def release(self, claim: Claim) -> None:
        """Put the trial back for a later worker, to go on where this one stopped."""
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if self.owns(claim):
                self._sign(claim.trial_id, replace(claim.lease, cuts=claim.lease.cuts + 1))
                self._storage.set_trial_state_values(claim.trial_id, TrialState.WAITING)

    def finish(
        self,
        claim: Claim,
        state: TrialState,
        values: Sequence[float] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the trial; False (and nothing written) when it is no longer this worker's."""
        with file_lock(self._lock), suppress(UpdateFinishedTrialError):
            if not self.owns(claim):
                return False
            for key, value in (notes or {}).items():
                self._storage.set_trial_user_attr(claim.trial_id, key, value)
            try:
                self._study.tell(claim.number, values, state)
            except ValueError:
                # Optuna refuses a trial that does not run; so does it a value that is no number.
                if self.owns(claim):
                    raise
                return False
            return True
        return False

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def _sign(self, trial_id: int, lease: Lease) -> None:
        self._storage.set_trial_system_attr(trial_id, LEASE_KEY, lease.record())

    def _abandoned(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        now = time.time()
        for trial in trials:
            if not self._is_abandoned(trial, now):
                continue
            old = Lease.read(trial.system_attrs)
            deaths, cuts = (old.deaths + 1, old.cuts + 1) if old else (1, 1)
            if deaths <= self._budget.max_retries:
                return self._take(trial, deaths, cuts)
            self._give_up(trial, old, deaths)
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

    def _give_up(self, trial: FrozenTrial, lease: Lease | None, deaths: int) -> None:
        last = f", the last one process {lease.pid} on {lease.host.split('/')[0]}" if lease else ""
        reason = f"its worker died {deaths} times{last}"
        self._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, reason)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _waiting(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        for trial in trials:
            waits = trial.state == TrialState.WAITING
            if waits and self._budget.has_place(trial, trials) and self._start(trial):
                old = Lease.read(trial.system_attrs)
                return self._take(trial, old.deaths if old else 0, old.cuts if old else 0)
        return None

    def _start(self, trial: FrozenTrial) -> bool:
        """Set a waiting trial running, unless another worker did; only one ever succeeds.

        Its name in the lock file says so until the lease is signed: should this process die in
        between, the next to hold the lock knows that nobody runs the trial.
        """
        self._lock.write_text(str(trial._trial_id))
        won = False
        with suppress(UpdateFinishedTrialError):
            won = self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        if not won:
            self._lock.write_text("")
        return won

    def _take(self, trial: FrozenTrial, deaths: int, cuts: int) -> Claim:
        lease = Lease.take(self._budget.lease_seconds, deaths, cuts)
        self._sign(trial._trial_id, lease)
        self._lock.write_text("")
        return Claim(trial._trial_id, trial.number, lease)

    def _new(self) -> Claim | None:
        """Create a trial that bears its lease from the start, if the budget has a place for it."""
        place = self._budget.next_place(self._trials())
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
        if self._budget.has_place(trial, self._trials()):
            return Claim(trial_id, trial.number, lease)
        self._storage.set_trial_user_attr(trial_id, FAILURE_KEY, SURPLUS)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        return self._new()  # Whoever has the place may just have failed: look once more.
