"""Those who follow a study, such as a tracker: told of its course, never in its way."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sweeper.trial import TrialInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyInfo:
    """A study as its observers see it; `storage` opens it with `optuna.load_study`."""

    name: str
    folder: Path
    directions: tuple[str, ...]
    space: Mapping[str, Any]
    options: Mapping[str, str]
    """The chosen option of each config group that is not searched."""
    n_trials: int | None
    storage: Any
    parent_id: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How an attempt at a trial ended.

    `state` is `complete`, `pruned`, `failed`, or `released` when it is to be resumed.
    """

    state: str
    values: tuple[float, ...] = ()
    reason: str | None = None


class Observer(Protocol):
    """Told of a study's course.

    The study's two events reach it in the sweeper's process, the trials' in the workers', so it
    must be picklable before `trial_started`. `study_opened` may return an id that every trial
    then carries as `parent_id`; on resume it is called again with the id it gave before. A trial
    that never ran (a duplicate, or one that did not compose) is finished without being started.
    """

    def study_opened(self, study: StudyInfo) -> str | None: ...

    def trial_started(self, trial: TrialInfo) -> None: ...

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None: ...

    def study_finished(self, study: StudyInfo) -> None: ...


@dataclass(frozen=True)
class Observers:
    """Several observers as one; what goes wrong in one is logged and stops nobody."""

    members: Sequence[Observer] = field(default_factory=tuple)

    def study_opened(self, study: StudyInfo) -> str | None:
        ids = self._tell(lambda o: o.study_opened(study))
        return next((i for i in ids if i), study.parent_id)

    def trial_started(self, trial: TrialInfo) -> None:
        self._tell(lambda o: o.trial_started(trial))

    def trial_finished(self, trial: TrialInfo, outcome: Outcome) -> None:
        self._tell(lambda o: o.trial_finished(trial, outcome))

    def study_finished(self, study: StudyInfo) -> None:
        self._tell(lambda o: o.study_finished(study))

    def _tell(self, event: Callable[[Observer], Any]) -> list[Any]:
        answers = []
        for observer in self.members:
            try:
                answers.append(event(observer))
            except Exception:
                log.exception("Observer %s failed", type(observer).__name__)
        return answers
