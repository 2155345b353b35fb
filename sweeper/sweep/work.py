"""What is left to do in a study, as its command sees it: trials, then the jobs that follow them."""

import math
from collections.abc import Sequence
from typing import Protocol

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeper.sweep.finals.agenda import Agenda
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.study import open_study


class Work(Protocol):
    """Trials that workers claim through a ledger."""

    @property
    def ledger(self) -> Ledger: ...

    def trials(self) -> list[FrozenTrial]:
        """Return all of them, finished ones too."""
        ...

    def has_work(self) -> bool:
        """Return whether a worker could claim one now."""
        ...

    def size(self) -> float:
        """Return how many workers could be of use."""
        ...

    def text(self, trial: FrozenTrial) -> str:
        """Return one of them in words."""
        ...


class Search:
    """The trials of a study."""

    def __init__(self, spec: StudySpec, storage: BaseStorage) -> None:
        study = open_study(spec.name, storage)
        self.ledger = Ledger(study, storage, spec.folder, spec.budget, command=spec.command)

    def trials(self) -> list[FrozenTrial]:
        return self.ledger.trials()

    def has_work(self) -> bool:
        return self.ledger.has_work()

    def size(self) -> float:
        budget, trials = self.ledger.budget, self.trials()
        if budget.n_trials is None:
            return math.inf
        # Paused trials count as finished, but some of them may go on.
        n_left = budget.n_trials - budget.n_finished(trials)
        return max(1, n_left + sum(map(budget.is_paused, trials)))

    def text(self, trial: FrozenTrial) -> str:
        return f"trial {trial.number}"


def work_of(spec: StudySpec, storage: BaseStorage) -> Sequence[Work]:
    """Return what a study has to do."""
    finals = [Agenda(spec, storage)] if spec.finals.is_needed else []
    return [Search(spec, storage), *finals]
