"""How much a study may run, and which of its trials have a place in that."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

FAILURE_KEY = "failure"
POINT_KEY = "sweeper:point"
SURPLUS = "surplus: the budget was already taken"


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

    def takes_place(self, trial: FrozenTrial) -> bool:
        """Tell whether a trial takes up a place.

        A failed one gives its place back; in a grid, only to a later command.
        """
        if trial.state != TrialState.FAIL:
            return True
        return self.exhaustive and bool(failures([trial], self.since))

    def finished(self, trials: Sequence[FrozenTrial]) -> int:
        """Count the trials that have used up their place."""
        return sum(t.state.is_finished() and self.takes_place(t) for t in trials)

    def too_many_failed(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether more trials failed under this command than the study allows."""
        limit = self.max_failures
        return limit is not None and len(failures(trials, self.since)) > limit

    def spent(self, trials: Sequence[FrozenTrial], now: float) -> bool:
        """Tell whether no attempt at any trial may begin any more."""
        if self.deadline is not None and now >= self.deadline:
            return True
        if self.too_many_failed(trials):
            return True
        return self.n_trials is not None and self.finished(trials) >= self.n_trials

    def next_place(self, trials: Sequence[FrozenTrial]) -> int | None:
        """Return the place that a new trial would have, in a grid its point; None if there is none.

        A place depends on trials with lower numbers only, so all workers agree on who has it.
        """
        taking = [t for t in trials if self.takes_place(t)]
        if not self.exhaustive:
            free = self.n_trials is None or len(taking) < self.n_trials
            return len(taking) if free else None
        taken = {t.system_attrs.get(POINT_KEY) for t in taking}
        return next((p for p in range(self.n_trials or 0) if p not in taken), None)

    def has_place(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether a trial that was created has a place."""
        taking = [t for t in trials if t.number < trial.number and self.takes_place(t)]
        if not self.exhaustive:
            return self.n_trials is None or len(taking) < self.n_trials
        point = trial.system_attrs.get(POINT_KEY)
        return point not in {t.system_attrs.get(POINT_KEY) for t in taking}


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
