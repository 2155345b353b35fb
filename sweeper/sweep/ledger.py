"""Claiming and ending trials, so that each trial runs in one worker at a time and ends once.

A retry runs the same Optuna trial again, so that its number, folder, parameters and reported
values stay. A lock file in the study's folder makes a claim atomic among the processes that share
the folder. Workers that share only a database rely on two facts: each of Optuna's own storage
operations is atomic, and the token of the lease is checked before a trial is ended.
"""

import copy
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeper.errors import MovedError
from sweeper.locks import locked
from sweeper.sweep.budget import (
    FAILURE_KEY,
    FINISHED,
    POINT_KEY,
    REPEATS_KEY,
    SURPLUS,
    THREADS_KEY,
    THREADS_VARIABLE,
    Budget,
)
from sweeper.sweep.claim import Claim
from sweeper.sweep.curve import (
    END_ORDER_KEY,
    LOOKS_KEY,
    PAUSE_ORDER_KEY,
    PLACE_KEY,
    STEP_KEY,
    Place,
    Stretch,
    curve_of,
    epochs_of,
    looks_of,
    progress_of,
    start_of,
    taken_over,
)
from sweeper.sweep.draft import FIXED_PARAMS_KEY
from sweeper.sweep.folder_id import folder_id
from sweeper.sweep.lease import LEASE_KEY, RENEWALS_PER_LEASE, Lease, LeaseJudge
from sweeper.sweep.liveness import Liveness
from sweeper.sweep.storage import moved, read_trial, read_trials

log = logging.getLogger(__name__)
LOCK_FILE = ".claims.lock"
# The commands that were asked to end, a list of their identifiers. Their workers leave.
ENDED_COMMANDS_KEY = "sweeper:ended_commands"
WAIT_SECONDS = 1.0


def waiting_line(names: Sequence[str], trials: Sequence[FrozenTrial], seconds: float) -> str:
    """Return the line on trials of which it is not known yet whether their workers live.

    seconds: how long a lease of this command lasts.
    """
    leases = (Lease.read(t.system_attrs) for t in trials)
    seconds = max(seconds if lease is None else lease.lasts(seconds) for lease in leases)
    is_one = len(names) == 1
    return (
        f"Waiting up to {seconds:g} s for a sign of life of {', '.join(names)}: another host or "
        f"program has begun {'it' if is_one else 'them'}; without one, "
        f"{'it is' if is_one else 'they are'} run again"
    )


class Ledger:
    """The claims on the trials of one study.

    `grid` lists its points if the study runs every point of a grid. `command` identifies the
    command on whose behalf trials are claimed.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        folder: Path,
        budget: Budget,
        grid: Sequence[Mapping[str, Any]] = (),
        command: str = "",
    ) -> None:
        self._study, self._storage, self._grid = study, storage, grid
        self.budget = budget
        self._command = command
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._lock = folder / LOCK_FILE
        judge = LeaseJudge(budget.lease_seconds, command)
        self._liveness = Liveness(self._lock, study.study_name, judge)

    def locked(self) -> AbstractContextManager[None]:
        """Return a context that keeps out the other processes that share the folder.

        Raises:
            MovedError: the folder is gone.
        """
        if not self._lock.parent.is_dir():
            raise moved(self._lock.parent)
        return locked(self._lock)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials of the study."""
        return read_trials(self._storage, self._study_id)

    def stored(self, claim: Claim) -> FrozenTrial:
        """Return a claimed trial as the storage has it."""
        return self._storage.get_trial(claim.trial_id)

    def write_place(self, trial_id: int, place: Place) -> None:
        """Record how far a trial may run."""
        self._storage.set_trial_system_attr(trial_id, PLACE_KEY, place.record())

    def claim(self, should_leave: Callable[[], bool] = lambda: False) -> Claim | None:
        """Claim a trial, or return None if there is none.

        The foremost trial comes first if it needs all of the time that is left. Then comes an
        abandoned one, one that waits to be run, one that is promoted, and a new one. Abandoned
        trials that the budget has no room for are put back.

        Before it returns None it waits until it is known whether the workers of other hosts live.
        """
        has_told = False
        # A lease lapses over looks that are less than its length apart.
        wait = min(WAIT_SECONDS, self.budget.lease_seconds / RENEWALS_PER_LEASE)
        while not should_leave():
            # A worker that does not share the folder may end a trial after its state was read.
            with self.locked(), suppress(UpdateFinishedTrialError):
                trials = self._settled_trials()
                if self.budget.is_spent(trials, time.time()):
                    return None
                if self._fail_hopeless(trials):
                    continue
                # Before the claim, so that the next round sees a lease that lapses in between.
                uncertain = self.uncertain(trials)
                claim = self._claim_existing(trials)
                if claim is None and self.budget.stop_reason(trials) is None:
                    claim = self._claim_new(trials)
                if claim is not None or not uncertain:
                    return claim
                if not has_told:
                    names = [f"trial {t.number}" for t in uncertain]
                    log.info("%s", waiting_line(names, uncertain, self.budget.lease_seconds))
                    has_told = True
            time.sleep(wait)
        return None

    def has_work(self) -> bool:
        """Return whether a worker could claim a trial now.

        Abandoned trials that the budget has no room for are put back.
        """
        with self.locked():
            trials = self._settled_trials()
            if self.budget.is_spent(trials, time.time()):
                return False
            following = (
                self._next_urgent(trials)
                or self._next_abandoned(trials)
                or self.budget.next_promoted(trials)
            )
            return following is not None or self.budget.has_room(trials)

    def put_back_abandoned(self) -> None:
        """Put back the trials whose workers died, also those that a worker could run.

        The caller holds the lock.
        """
        self._put_back_for_dead(list(filter(self._liveness.is_abandoned, self.trials())))

    def is_abandoned(self, trial: FrozenTrial) -> bool:
        """Return whether a trial counts as running, although its worker is dead."""
        return self._liveness.is_abandoned(trial)

    def uncertain(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the running trials of which it is not known yet whether their workers live."""
        return self._liveness.uncertain(trials)

    def urgent(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return the trial that needs all of the time until the deadline to be complete, or None.

        Of an abandoned trial, the time since its worker took it up is left out, because it is not
        known when the worker died.
        """
        timed = []
        for trial in trials:
            if self._liveness.is_abandoned(trial):
                trial = copy.copy(trial)
                place = _place_for_next_worker(trial)
                trial.system_attrs = trial.system_attrs | {PLACE_KEY: place.record()}
            timed.append(trial)
        return self.budget.urgent(timed, time.time())

    def may_be_taken_up(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Return whether a worker may take up a trial now: it waits, or was abandoned."""
        is_left = any(t.number == trial.number for t in self._wanted_abandoned(trials))
        return is_left or self.budget.may_be_taken_up(trial, trials)

    def renew(self, claim: Claim) -> bool:
        """Renew the lease; return False when the trial no longer belongs to this worker.

        Nor does it once the study was moved away.
        """
        with suppress(MovedError):
            return self._renew(claim)
        return False

    def _renew(self, claim: Claim) -> bool:
        # A look at the other leases, which tells later if they lapsed. It comes before the lock, so
        # that nobody waits for a worker that waits for its database.
        self.uncertain(self.trials())
        with self.locked(), suppress(UpdateFinishedTrialError):
            # Anew, since another host may have taken the trial over before this lock.
            trial = read_trial(self._storage, claim.trial_id)
            if not claim.holds(trial):
                return False
            lease = Lease.read(trial.system_attrs) or claim.lease
            self._write_lease(claim.trial_id, replace(lease, renewals=lease.renewals + 1))
            return True
        return False

    def owns(self, claim: Claim) -> bool:
        """Return whether the trial still belongs to this worker, and its study is still there."""
        try:
            stored = self.stored(claim)
        except (MovedError, KeyError):  # a database that has no such trial raises a KeyError
            return False
        return claim.holds(stored)

    def note_look(self, claim: Claim, epochs: float, value: float) -> None:
        """Record a value from within an epoch; `epochs` is its position.

        An attempt that died may have recorded it just before.
        """
        looks = looks_of(self.stored(claim).system_attrs)
        if all(position != epochs for position, _ in looks):
            self._storage.set_trial_system_attr(
                claim.trial_id, LOOKS_KEY, [*looks, (epochs, value)]
            )

    def keep(self, claim: Claim, key: str, value: Any) -> bool:
        """Write a user attribute of the trial.

        Return False, and write nothing, when the trial no longer belongs to this worker.
        """
        with self.locked(), suppress(UpdateFinishedTrialError):
            if self._held(claim) is not None:
                self._storage.set_trial_user_attr(claim.trial_id, key, value)
                return True
        return False

    def begin_anew(self, claim: Claim) -> None:
        """Forget the seeds that a trial has done, because its runs have become longer.

        Each of them goes on from its own checkpoint. Its steps count as progress once more.
        """
        with self.locked(), suppress(UpdateFinishedTrialError):
            trial = self._held(claim)
            if trial is not None:
                self._storage.set_trial_user_attr(claim.trial_id, REPEATS_KEY, [])
                self._storage.set_trial_system_attr(claim.trial_id, STEP_KEY, None)
                lease = Lease.read(trial.system_attrs) or claim.lease
                self._write_lease(claim.trial_id, replace(lease, progress=len(curve_of(trial))))

    def pause(self, claim: Claim) -> bool:
        """Put the trial back as paused: it waits for its promotion.

        Return False, and write nothing, when the trial no longer belongs to this worker.
        """
        with self.locked(), suppress(UpdateFinishedTrialError):
            trial = self._held(claim)
            if trial is not None:
                order = self._note_order(claim, PAUSE_ORDER_KEY)
                self._put_back(trial, claim.lease, pause_order=order)
                return True
        return False

    def note_step(self, claim: Claim, step: int) -> None:
        """Record that the trial made progress, where its report is not kept."""
        self._storage.set_trial_system_attr(claim.trial_id, STEP_KEY, step)

    def release(self, claim: Claim, alone: bool = False) -> None:
        """Put the trial back as waiting, so that a later worker resumes it.

        `alone` is True if only this worker was asked to end. Without progress it counts as a death,
        because the trial itself may be the reason.
        """
        with self.locked(), suppress(UpdateFinishedTrialError):
            trial = self._held(claim)
            if trial is not None:
                lease = replace(claim.lease, deaths=claim.lease.deaths + int(alone))
                self._put_back(trial, lease)

    def release_command(self) -> None:
        """Put back the trials that this command's processes left behind when they were ended.

        No death is counted, because the command itself ended them.
        """
        with self.locked():
            for trial in self.trials():
                lease = Lease.read(trial.system_attrs)
                if trial.state != TrialState.RUNNING or lease is None:
                    continue
                if lease.command == self._command and lease.process_is_alive() is False:
                    with suppress(UpdateFinishedTrialError):
                        self._put_back(trial, lease)

    def runs_trials_of_command(self) -> bool:
        """Return whether a worker of this command has a trial."""
        running = [t for t in self.trials() if t.state == TrialState.RUNNING]
        leases = [Lease.read(t.system_attrs) for t in running]
        return any(lease is not None and lease.command == self._command for lease in leases)

    def end_command(self) -> None:
        """Ask all workers of this command to put back their trials and leave, on any host."""
        with self.locked():
            ended = self._ended_commands()
            self._storage.set_study_user_attr(
                self._study_id, ENDED_COMMANDS_KEY, [*ended, self._command]
            )

    def command_has_ended(self) -> bool:
        """Return whether `end_command` was called for the command of this worker."""
        return self._command in self._ended_commands()

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
        with self.locked(), suppress(UpdateFinishedTrialError):
            if self._held(claim) is None:
                return False
            for key, value in (user_attrs or {}).items():
                self._storage.set_trial_user_attr(claim.trial_id, key, value)
            self._note_order(claim, END_ORDER_KEY)
            try:
                self._study.tell(claim.number, values, state)
            except ValueError:
                # Optuna raises it both for a trial that is not running and for invalid values.
                if self._held(claim) is not None:
                    raise
                return False
            return True
        return False

    def _held(self, claim: Claim) -> FrozenTrial | None:
        """Return the trial as it is now; None when it no longer belongs to this worker."""
        with suppress(MovedError, KeyError):  # the study may have been moved away, or deleted
            self.trials()  # reads all anew, at once, since a read of a database may be a second old
        return self.stored(claim) if self.owns(claim) else None

    def _ended_commands(self) -> list[str]:
        attrs = self._storage.get_study_user_attrs(self._study_id)
        return list(attrs.get(ENDED_COMMANDS_KEY, ()))

    def _note_order(self, claim: Claim, key: str) -> int:
        """Record the place of a trial's pause or end among those of all trials, and return it."""
        keys = (PAUSE_ORDER_KEY, END_ORDER_KEY)
        # Of a database, the read may be a second old. Trials that ended in it may get equal places.
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        orders = (t.system_attrs.get(each, 0) for t in trials for each in keys)
        order = 1 + max(orders, default=0)
        self._storage.set_trial_system_attr(claim.trial_id, key, order)
        return order

    def _put_back(self, trial: FrozenTrial, lease: Lease, pause_order: int = 0) -> None:
        """Let a trial wait for a later worker, with the deaths since it last made progress.

        `pause_order` is the place of its pause among all pauses and ends; 0 if it is not paused.
        """
        paused = pause_order > 0
        if self.budget.promotion is not None:
            # Before the state: if this process dies in between, the trial is abandoned.
            place, now = Place.of(trial), time.time()
            start, epochs = start_of(trial) or now, epochs_of(trial)
            after = place.after_stop
            stretch = Stretch(start, now, lease.worker, paused, pause_order, epochs, after)
            stretches = (*place.stretches, stretch)
            self.write_place(
                trial._trial_id,
                replace(place, is_paused=paused, stretches=stretches, started=None),
            )
        # The one on record, since `begin_anew` changes its progress.
        before = Lease.read(trial.system_attrs) or lease
        deaths = 0 if paused or progress_of(trial) > before.progress else lease.deaths
        self._write_lease(trial._trial_id, replace(lease, cuts=lease.cuts + 1, deaths=deaths))
        self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def _write_lease(self, trial_id: int, lease: Lease) -> None:
        self._storage.set_trial_system_attr(trial_id, LEASE_KEY, lease.record())

    def _claim_existing(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        return (
            self._take_up(self._next_urgent(trials))
            or self._claim_abandoned(trials)
            or self._claim_waiting(trials)
            or self._take_up(self.budget.next_promoted(trials))
        )

    def _next_urgent(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return the trial that needs all of the time until the deadline, if it waits."""
        urgent = self.urgent(trials)
        if urgent is None or not self.budget.may_be_taken_up(urgent, trials):
            return None
        return urgent

    def _claim_abandoned(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        trial = self._next_abandoned(trials)
        return None if trial is None else self._take_over(trial)

    def _next_abandoned(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """Return an abandoned trial that is still wanted, the urgent one first, or None."""
        wanted = self._wanted_abandoned(trials)
        urgent = self.urgent(trials) if len(wanted) > 1 else None
        if urgent is None:
            return next(iter(wanted), None)
        return next((t for t in wanted if t.number == urgent.number), wanted[0])

    def _wanted_abandoned(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        abandoned = list(filter(self._liveness.is_abandoned, trials))
        return list(self.budget.wanted(abandoned, trials))

    def _settled_trials(self) -> list[FrozenTrial]:
        """Put back the trials whose workers died, if no worker may run them; return all trials.

        Otherwise they would seem to run for ever. What follows the search would wait for them, and
        they would hold the places of others.
        """
        trials = self.trials()
        abandoned = list(filter(self._liveness.is_abandoned, trials))
        if not abandoned:
            return trials
        is_spent = self.budget.is_spent(trials, time.time())
        wanted = [] if is_spent else list(self.budget.wanted(abandoned, trials))
        self._put_back_for_dead([trial for trial in abandoned if trial not in wanted])
        return self.trials()

    def _put_back_for_dead(self, trials: Sequence[FrozenTrial]) -> None:
        """Put back trials in place of their workers, which died."""
        for trial in trials:
            with suppress(UpdateFinishedTrialError):
                claim = self._take_over(trial, cuts=0)  # the cut is counted when it is put back
                self._put_back(self.stored(claim), claim.lease)

    def _take_over(self, trial: FrozenTrial, cuts: int = 1) -> Claim:
        """Claim a trial whose worker died, with that many cuts more than before."""
        previous = Lease.read(trial.system_attrs)
        before = 0 if previous is None else previous.cuts
        claim = self._claim_running(trial, self._liveness.deaths(trial), before + cuts)
        if self.budget.promotion is not None:
            self.write_place(trial._trial_id, _place_for_next_worker(trial))
        return claim

    def _fail_hopeless(self, trials: Sequence[FrozenTrial]) -> bool:
        """Fail the trials whose workers died too often; return whether there are any."""
        unfinished = (t for t in trials if t.state not in FINISHED)
        deaths_of = [(t, self._liveness.deaths(t)) for t in unfinished]
        hopeless = [(t, deaths) for t, deaths in deaths_of if deaths > self.budget.max_retries]
        for trial, deaths in hopeless:
            lease = Lease.read(trial.system_attrs)
            last = f"; the last one was process {lease.pid} on {lease.host_name}" if lease else ""
            # Without retries the first death counts, whether the trial had made progress or not.
            times = "" if deaths == 1 else f" {deaths} times without progress"
            reason = f"its worker died{times}{last}"
            self._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, reason)
            self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return bool(hopeless)

    def _claim_waiting(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        claims = map(self._take_up, self.budget.runnable(trials))
        return next((claim for claim in claims if claim is not None), None)

    def _take_up(self, trial: FrozenTrial | None) -> Claim | None:
        """Claim a trial that waits, if any; return None if another worker did so first.

        If it is paused, it is promoted.
        """
        if trial is None or not self._set_running(trial):
            return None
        previous = Lease.read(trial.system_attrs)
        deaths, cuts = (previous.deaths, previous.cuts) if previous else (0, 0)
        claim = self._claim_running(trial, deaths, cuts)
        if self.budget.promotion is not None:
            place = Place.of(trial)
            if place.is_paused:
                after = self.budget.stop_reason(self.trials()) is not None
                at = epochs_of(trial)
                place = replace(place, decided_at=at, is_paused=False, after_stop=after)
            self.write_place(trial._trial_id, place)  # also anew, if an earlier version wrote it
        return claim

    def _set_running(self, trial: FrozenTrial) -> bool:
        """Set a waiting trial running; return False if another worker did so first.

        If it is set running, its mark stays until the lease is written.
        """
        self._liveness.mark(trial)
        succeeded = False
        with suppress(UpdateFinishedTrialError):
            succeeded = self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        if not succeeded:
            self._liveness.unmark()
        return succeeded

    def _claim_running(self, trial: FrozenTrial, deaths: int, cuts: int) -> Claim:
        """Claim a trial that is marked as running but that no worker runs."""
        folder = folder_id(self._lock.parent)
        seconds = self.budget.lease_seconds
        lease = Lease.new(self._command, progress_of(trial), deaths, cuts, folder, seconds)
        self._write_lease(trial._trial_id, lease)
        self._liveness.unmark()
        return Claim(trial._trial_id, trial.number, lease)

    def _claim_new(self, trials: Sequence[FrozenTrial]) -> Claim | None:
        """Create a trial together with its lease, or return None if the budget is used up."""
        index = self.budget.next_index(trials)
        if index is None:
            return None
        folder, seconds = folder_id(self._lock.parent), self.budget.lease_seconds
        lease = Lease.new(self._command, folder=folder, seconds=seconds)
        system_attrs: dict[str, Any] = {LEASE_KEY: lease.record()}
        if self.budget.exhaustive:
            system_attrs |= {POINT_KEY: index, FIXED_PARAMS_KEY: self._grid[index]}
        user_attrs = {THREADS_KEY: os.environ.get(THREADS_VARIABLE)}
        template = create_trial(
            state=TrialState.RUNNING, user_attrs=user_attrs, system_attrs=system_attrs
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        after = self._storage.get_all_trials(self._study_id, deepcopy=False)
        number = next(t.number for t in after if t._trial_id == trial_id)
        # Two workers that share no folder may both create the last trial; only one of them is run.
        if self.budget.admits(after[number], after):
            return Claim(trial_id, number, lease)
        self._storage.set_trial_user_attr(trial_id, FAILURE_KEY, SURPLUS)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        # Meanwhile an earlier trial may have failed, or been put back: nobody else takes it, if the
        # others saw this trial run and left.
        trials = self.trials()
        return self._claim_existing(trials) or self._claim_new(trials)


def _place_for_next_worker(trial: FrozenTrial) -> Place:
    """Return the place of an abandoned trial if another worker takes it over now."""
    lease = Lease.read(trial.system_attrs)
    return taken_over(trial, 0 if lease is None else lease.progress, time.time())
