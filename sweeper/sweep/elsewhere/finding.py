"""Finished trials of other studies and runs, and which of them are the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """A finished trial of a study, or a finished run of an MLflow experiment.

    Args:
        searched: Values by the names that the source searched.
        config: Further values of the config, by config key. They count if this study searches them.
        values: Values of the objectives.
    """

    searched: Mapping[str, Any]
    values: tuple[float, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings:
    """The finished trials or runs of a source.

    Args:
        trials: The trials or runs.
        directions: The directions of their values.
        noun: The words for them.
        metric: The names of their values, with commas; empty if they are not on record.
    """

    trials: Sequence[Finding]
    directions: tuple[str, ...]
    noun: str
    metric: str = ""

    def best_first(self) -> list[Finding]:
        """Return the trials, from the best in the first objective to the worst."""
        trials = [t for t in self.trials if all(map(math.isfinite, t.values))]
        return sorted(trials, key=self._losses)

    def front(self) -> list[Finding]:
        """Return the Pareto front, from the trial that is best in the first objective."""
        trials = self.best_first()
        return [t for t in trials if not any(self._dominates(other, t) for other in trials)]

    def _losses(self, trial: Finding) -> tuple[float, ...]:
        pairs = zip(trial.values, self.directions, strict=True)
        return tuple(-v if direction == "maximize" else v for v, direction in pairs)

    def _dominates(self, one: Finding, other: Finding) -> bool:
        pairs = list(zip(self._losses(one), self._losses(other), strict=True))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def spread(items: Sequence[T], n: int | None) -> list[T]:
    """Return `n` of the items at even distances, the first and the last among them."""
    if n is None or len(items) <= n:
        return list(items)
    if n == 1:
        return [items[0]]
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]
