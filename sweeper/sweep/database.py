"""A study in a database: few queries a trial, and patience while the server is away.

Optuna reads a running trial anew, in seven queries, whenever one of its fields is needed. Here
reads may be a second old, and what this process writes is seen at once. `refresh` makes the next
read a new one, for decisions on which trial to run.
"""

import copy
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
    ResourceClosedError,
)

from sweeper.errors import OutageError
from sweeper.sweep.lease import LEASE_KEY
from sweeper.text import shortened

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_AGE_SECONDS = 1.0
OUTAGE_SECONDS = 300.0
PAUSE_SECONDS = 0.5
QUIET_SECONDS = 2.0
_OF_THE_STATEMENT = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of a statement, which fails whenever it is tried."""


class DatabaseStorage(BaseStorage):
    """Optuna's storage in a database, which waits up to `OUTAGE_SECONDS` for its server.

    Except for creating and deleting studies, the methods wait. They raise an OutageError if the
    server was away for longer.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage, self._patient = storage, Patience()
        self._lock = threading.RLock()
        self._trials: dict[int, FrozenTrial] = {}
        self._read_study: int | None = None
        self._read_seconds = 0.0

    def refresh(self) -> None:
        """Make the next read of trials a new one."""
        with self._lock:
            self._read_study = None

    # Studies

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._storage.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self.refresh()
        self._storage.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._patient(lambda: self._storage.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._patient(lambda: self._storage.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._patient(lambda: self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._patient(lambda: self._storage.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._patient(lambda: self._storage.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patient(lambda: self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patient(lambda: self._storage.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._patient(self._storage.get_all_studies)

    # Reads of trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._patient(
            lambda: self._storage.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self._lock:
            if self._is_fresh(self._read_study) and trial_id in self._trials:
                return self._trials[trial_id]
            trial = self._patient(lambda: self._storage.get_trial(trial_id))
            if trial_id in self._trials:
                self._trials[trial_id] = trial
            return trial

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        with self._lock:
            if not self._is_fresh(study_id):
                started = _seconds()
                read = self._patient(lambda: self._storage.get_all_trials(study_id, deepcopy=False))
                self._trials = {t._trial_id: t for t in read}
                self._read_study, self._read_seconds = study_id, started
            trials = [t for t in self._trials.values() if states is None or t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _is_fresh(self, study_id: int | None) -> bool:
        is_recent = _seconds() - self._read_seconds < MAX_AGE_SECONDS
        return study_id is not None and study_id == self._read_study and is_recent

    # Writes to trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        with self._lock:
            n_before = len(self._trials) if self._is_fresh(study_id) else None
            trial_id = self._patient(
                lambda: self._storage.create_new_trial(study_id, template_trial),
                again=lambda: self._created(study_id, template_trial),
            )
            if (
                n_before is None
                or template_trial is None
                or not self._is_number(study_id, n_before, trial_id)
            ):
                self._read_study = None
                return trial_id
            trial = copy.copy(template_trial)  # nobody else has created one meanwhile
            trial.number, trial._trial_id = n_before, trial_id
            self._trials[trial_id] = trial
        return trial_id

    def _created(self, study_id: int, template: FrozenTrial | None) -> int:
        """Create a trial, unless the attempt that failed has done so before the server left."""
        if template is not None and template.system_attrs:
            for trial in self._storage.get_all_trials(study_id, deepcopy=False):
                if trial.system_attrs == template.system_attrs:
                    return trial._trial_id
        return self._storage.create_new_trial(study_id, template)

    def _is_number(self, study_id: int, number: int, trial_id: int) -> bool:
        """Return whether a trial has this number; a trial of this process needs no query."""
        try:
            found = self.get_trial_id_from_study_id_trial_number(study_id, number)
        except KeyError:
            return False
        return found == trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        def write() -> None:
            self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)

        def write_again() -> None:
            if param_name not in self._storage.get_trial(trial_id).params:
                write()

        with self._lock:
            self._patient(write, again=write_again)
            if (trial := self._copy(trial_id)) is not None:
                value = distribution.to_external_repr(param_value_internal)
                trial.params = trial.params | {param_name: value}
                trial.distributions = trial.distributions | {param_name: distribution}

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def write() -> bool:
            return self._storage.set_trial_state_values(trial_id, state, values)

        def write_again() -> bool:
            # The write may have arrived, and another worker may have claimed the trial since. That
            # one has changed its lease, or will soon. The token tells later whose trial it is.
            stored = self._storage.get_trial(trial_id)
            is_others = known is not None and (
                stored.system_attrs.get(LEASE_KEY) != known.system_attrs.get(LEASE_KEY)
            )
            if stored.state == state:
                return not (is_others and state == TrialState.RUNNING)
            return True if is_others and state == TrialState.WAITING else write()

        with self._lock:
            known = self._trials.get(trial_id)
            written = self._patient(write, again=write_again)
            if written and (trial := self._copy(trial_id)) is not None:
                trial.state = state
                trial.values = trial.values if values is None else list(values)
                trial.datetime_complete = datetime.now() if state.is_finished() else None
            return written

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        with self._lock:
            self._patient(
                lambda: self._storage.set_trial_intermediate_value(
                    trial_id, step, intermediate_value
                )
            )
            if (trial := self._copy(trial_id)) is not None:
                values = trial.intermediate_values
                trial.intermediate_values = values | {step: intermediate_value}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._patient(lambda: self._storage.set_trial_user_attr(trial_id, key, value))
            if (trial := self._copy(trial_id)) is not None:
                trial.user_attrs = trial.user_attrs | {key: value}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._patient(lambda: self._storage.set_trial_system_attr(trial_id, key, value))
            if (trial := self._copy(trial_id)) is not None:
                trial.system_attrs = trial.system_attrs | {key: value}

    def _copy(self, trial_id: int) -> FrozenTrial | None:
        """Replace a trial that was read by a copy to change, since others may hold the original."""
        if trial_id not in self._trials:
            return None
        trial = self._trials[trial_id] = copy.copy(self._trials[trial_id])
        return trial

    def remove_session(self) -> None:
        self._storage.remove_session()


def _seconds() -> float:
    """Return the time since some point, with the time in which the machine was suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Patience:
    """Calls of one database, which wait while its server is away.

    A call that finds the server away waits only as long as the one that found it so first. So
    nobody waits anew once a call has given up.
    """

    def __init__(self) -> None:
        # When a call had no answer, in monotonic seconds; None once one has been answered again.
        self._since: float | None = None

    def __call__(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """Return what `call` returns; while the server is away, wait and call again.

        `again` replaces `call` after a failure, since a write may have reached the server although
        its answer did not arrive.

        Raises:
            OutageError: the server was away for `OUTAGE_SECONDS`.
        """
        since, has_told = None, False
        while True:
            try:
                result = call()
            except (StorageInternalError, DBAPIError) as error:
                cause = _reason_of_absence(error)
                if cause is None:
                    raise
                now = time.monotonic()
                # Answers to other calls do not prolong the wait of this one.
                since = since or self._since or now
                self._since = since
                if now - since > OUTAGE_SECONDS:
                    raise OutageError(
                        f"the study's database was away for {OUTAGE_SECONDS:g} s ({cause})"
                    ) from error
                # Not at once, since a transaction may fail only because of another one.
                if not has_told and now - since > QUIET_SECONDS:
                    has_told = True
                    log.warning(
                        "The study's database is away (%s); waiting up to %g s",
                        cause,
                        OUTAGE_SECONDS,
                    )
                time.sleep(PAUSE_SECONDS)
                call = again or call
                continue
            if has_told:
                log.warning("The study's database is back")
            self._since = None
            return result


def _reason_of_absence(error: BaseException) -> str | None:
    """Return what was said when the server did not answer, or None for other errors.

    Drivers have many errors for a connection that breaks in the middle of a transaction.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, DBAPIError) and _is_of_connection(each):
            return shortened(" ".join(str(each.orig).split()), 200)
        if isinstance(each, PendingRollbackError | ResourceClosedError):
            return shortened(" ".join(str(each).split()), 200)
        each = each.__cause__
    return None


def _is_of_connection(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):  # a file that is locked, but not one that is damaged
        return isinstance(error, OperationalError)
    return error.connection_invalidated or not isinstance(error, _OF_THE_STATEMENT)
