"""The rule that ends a study before its budget is spent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import Look, Place, end_order, pauses_of


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

        For `patience`, the pauses and the ends of trials count in their order. A pause counts with
        the trial's last value at that time, but the study does not end because of that value alone.
        """
        results = [result for t in trials if (result := _value(t)) is not None]
        reached = max(results, key=self._score, default=None)
        if self._is_reached(reached):
            return f"the best value reached {reached:.6g}"
        if self.patience is None:
            return None
        n_since_best, best = self._since_best(trials, self.patience)
        if best is not None and n_since_best >= self.patience:
            return f"the last {n_since_best} trials did not improve the best value {best:.6g}"
        return None

    def _since_best(self, trials: Sequence[FrozenTrial], patience: int) -> tuple[int, float | None]:
        """Return how many others were paused or ended without a better value, and the best one."""
        values: dict[int, float] = {}  # of each trial, its last one
        since = set[int]()
        leader, best = None, None
        for number, value, after_stop in _events(trials):
            # Such a trial does not start the study again, unless a later command has more patience.
            goes_on = after_stop and best is not None and len(since) >= patience
            values.pop(number, None)
            if value is not None:
                values[number] = value
            if value is not None and (best is None or self._is_better(value, best)):
                leader, best = number, value
                if not goes_on:
                    since.clear()
            elif number == leader:  # its end is worse than its pause was
                leader = max(values, key=lambda n: self._score(values[n]), default=None)
                best = None if leader is None else values[leader]
            else:
                since.add(number)
        return len(since), best

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


def _events(trials: Sequence[FrozenTrial]) -> list[tuple[int, float | None, bool]]:
    """Return the pauses and the ends of trials that did not fail, in their order.

    Each is the number of the trial, its value then, or None if it had none that counts, and whether
    the trial was promoted though the rule had ended the study.
    """
    events = []
    for trial in trials:
        if trial.state == TrialState.FAIL:
            continue
        events += [(key, _last_value(trial, curve), late) for key, curve, late in pauses_of(trial)]
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            events.append((end_order(trial), _value(trial), Place.of(trial).after_stop))
    events.sort(key=lambda event: event[0])
    return [(key[-1], value, after_stop) for key, value, after_stop in events]


def _last_value(trial: FrozenTrial, curve: Sequence[Look]) -> float | None:
    is_usable = curve and math.isfinite(curve[-1][1]) and is_feasible(trial)
    return curve[-1][1] if is_usable else None


def _value(trial: FrozenTrial) -> float | None:
    """Return the value of a complete, feasible trial; a pruned one has no final value."""
    return trial.value if trial.state == TrialState.COMPLETE and is_feasible(trial) else None
