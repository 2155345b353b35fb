"""The rule that ends a study before its budget is spent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import Place, curve_of, pause_order


@dataclass(frozen=True)
class StopRule:
    """Rule that ends a study with one objective.

    No trial is started once the rule is met. Those that run are completed.

    Args:
        value: Value at which the study ends; None for no such value.
        patience: Number of complete, pruned and paused trials without a better value after which
            the study ends; None for no such number.
        maximize: True if a higher value is better.
    """

    value: float | None
    patience: int | None
    maximize: bool

    def reason(self, trials: Sequence[FrozenTrial]) -> str | None:
        """Return why the study ends, or None if it goes on.

        The trials count in the order in which they were paused last, else ended. A trial that was
        paused counts with its last value, but the study does not end because of that value alone.
        """
        results = [result for t in trials if (result := _value(t)) is not None]
        reached = max(results, key=self._score, default=None)
        if self._is_reached(reached):
            return f"the best value reached {reached:.6g}"
        ended = [t for t in trials if _counts(t)]
        # A trial that goes on keeps the place of its pause, so that a rule that is met stays met.
        ended.sort(key=pause_order)
        best: float | None = None
        n_since_best = 0
        for trial in ended:
            value = _value(trial) if trial.state.is_finished() else _last_value(trial)
            is_better = value is not None and (best is None or self._is_better(value, best))
            best, n_since_best = (value, 0) if is_better else (best, n_since_best + 1)
        if self.patience is not None and best is not None and n_since_best >= self.patience:
            return f"the last {n_since_best} trials did not improve the best value {best:.6g}"
        return None

    def _is_reached(self, value: float | None) -> bool:
        if self.value is None or value is None:
            return False
        return not self._is_better(self.value, value)

    def _score(self, value: float) -> float:
        return value if self.maximize else -value

    def _is_better(self, value: float, than: float) -> bool:
        return value > than if self.maximize else value < than


def is_feasible(trial: FrozenTrial) -> bool:
    """Return whether a trial violates none of its constraints."""
    return all(violation <= 0 for violation in trial.constraints.values())


def _counts(trial: FrozenTrial) -> bool:
    """Return whether a trial has ended well, or was paused, though it may run again."""
    has_ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return has_ended or (not trial.state.is_finished() and Place.of(trial).n_pauses > 0)


def _last_value(trial: FrozenTrial) -> float | None:
    curve = curve_of(trial)
    is_usable = curve and math.isfinite(curve[-1][1]) and is_feasible(trial)
    return curve[-1][1] if is_usable else None


def _value(trial: FrozenTrial) -> float | None:
    """Return the value of a complete, feasible trial; a pruned one has no final value."""
    return trial.value if trial.state == TrialState.COMPLETE and is_feasible(trial) else None
