"""The interface of those who follow a study, such as a tracker.

An exception in an observer is logged in one line and does not stop the study.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.secrets import without_password
from sweeper.text import in_one_line, shortened
from sweeper.trial import TrialInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyInfo:
    """Description of a study for its observers.

    Args:
        name: Name of the study.
        folder: Folder of the study.
        directions: `minimize` or `maximize` for each objective.
        space: Distributions as JSON, by Optuna's names.
        options: Chosen option of each config group that is not searched.
        n_trials: Budget of the study; None if there is no limit.
        storage: Storage from which `optuna.load_study` loads the study.
        parent_id: Id that an observer returned when the study was opened; None at first.
        best: Which member of a Pareto front is chosen: `knee`, the index of an objective or None.
        has_ended: True once the study has what was asked for.
        train_again: The command that trains the best trial again; empty if there is none.
    """

    name: str
    folder: Path
    directions: tuple[str, ...]
    space: Mapping[str, Any]
    options: Mapping[str, str]
    n_trials: int | None
    storage: Any
    parent_id: str | None = None
    best: str | int | None = None
    has_ended: bool = False
    train_again: str = ""


@dataclass(frozen=True)
class Outcome:
    """Result of an attempt at a trial, as observers receive it.

    Unlike `verdict.Verdict`, which a worker forms before it ends the trial, this is the result
    that the study has accepted.

    Args:
        state: `complete`, `pruned` or `failed`. `paused` if the trial waits for its promotion.
            `released` if it was put back to be resumed, or another worker has taken it over.
        values: Values of the objectives of a complete trial.
        reason: Reason of any other state.
    """

    state: str
    values: tuple[float, ...] = ()
    reason: str | None = None


class Observer(Protocol):
    """A follower of a study.

    Observers must be picklable: the two methods of the study are called in the parent process,
    those of the trials in the workers. If `study_opened` returns an id, every trial has it as
    `parent_id`; when the study is resumed, `study_opened` receives it as `study.parent_id`.
    `trial_started` is not called for a trial whose task never ran, such as a duplicate or one
    whose config could not be composed; `trial_finished` is. `study_finished` may return the address
    of the study's page, below that of the tracking server. An observer may have two more methods:
    `worker_finished()` is called in a worker that leaves without being interrupted, and
    `study_failed(study, reason)` in place of `study_finished` after an error that ends the command.
    The storage of the study may be away then.
    """

    def study_opened(self, study: StudyInfo) -> str | None: ...

    def trial_started(self, trial: TrialInfo) -> None: ...

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None: ...

    def study_finished(self, study: StudyInfo) -> str | None: ...


@dataclass(frozen=True)
class Observers:
    """Several observers, called one after another; exceptions are logged."""

    members: Sequence[Observer] = field(default_factory=tuple)

    def study_opened(self, study: StudyInfo) -> str | None:
        ids = self._call_all(lambda o: o.study_opened(study))
        return next((i for i in ids if i), study.parent_id)

    def trial_started(self, trial: TrialInfo) -> None:
        self._call_all(lambda o: o.trial_started(trial))

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        self._call_all(lambda o: o.trial_finished(trial, outcome))

    def worker_finished(self) -> None:
        self._call_all(lambda o: getattr(o, "worker_finished", _nothing)())

    def study_finished(self, study: StudyInfo) -> str | None:
        pages = self._call_all(lambda o: o.study_finished(study))
        return next((page for page in pages if page), None)

    def study_failed(self, study: StudyInfo, reason: str) -> None:
        self._call_all(lambda o: getattr(o, "study_failed", _nothing)(study, reason))

    def _call_all(self, method: Callable[[Observer], Any]) -> list[Any]:
        returned = []
        for observer in self.members:
            try:
                returned.append(method(observer))
            except Exception as error:  # a follower must not stop the study
                reason = without_password(in_one_line(error) or type(error).__name__)
                log.error(
                    "Observer %s failed: %s",
                    type(getattr(observer, "original", observer)).__name__,
                    shortened(reason, 300),
                    exc_info=WANTS_TRACEBACK,
                )
        return returned


def _nothing(*_: object) -> None:
    """Do nothing, in place of a method that an observer does not have."""
