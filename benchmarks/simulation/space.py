"""The search space of a recorded table, with its conditions."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from simulation.tables import Point

FEW = 8
"""A key with so many values, or fewer, is a choice."""


class Space:
    """The keys of recorded points, and which of them depend on the value of another one.

    A key that only some points have depends on those common keys whose values tell these points
    apart: `model.channels` on `model`. It has another distribution for each such value.

    points: values by key; a list is a text, so that it can be a choice.
    """

    def __init__(self, points: tuple[Point, ...]) -> None:
        self.points = [{key: plain(value) for key, value in point.items()} for point in points]
        self._common = [k for k in self.points[0] if all(k in point for point in self.points)]
        self._branches = [k for k in self._common if self._is_branch(k)]
        self._distributions: dict[str, BaseDistribution] = {}

    def suggest(self, trial: optuna.Trial) -> Point:
        """Suggest a point, the common keys first."""
        point = {key: self._suggested(trial, key, key, self.points) for key in self._common}
        for branch in self._branches:
            rows = [row for row in self.points if row[branch] == point[branch]]
            for key in sorted(self._own(rows)):
                name = f"{key}@{point[branch]}"
                point[key] = self._suggested(trial, name, key, rows)
        return point

    def _own(self, rows: list[Point]) -> set[str]:
        """Return the keys that all of these points have, without the common ones."""
        return set.intersection(*map(set, rows)) - {*self._common}

    def _is_branch(self, key: str) -> bool:
        """Return whether other keys depend on this one."""
        values = {row[key] for row in self.points}
        return any(isinstance(v, str) for v in values) and any(
            self._own([row for row in self.points if row[key] == value]) for value in values
        )

    def _suggested(self, trial: optuna.Trial, name: str, key: str, rows: list[Point]) -> Any:
        if name not in self._distributions:
            self._distributions[name] = distribution([row[key] for row in rows])
        match self._distributions[name]:
            case CategoricalDistribution(choices=choices):
                return trial.suggest_categorical(name, choices)
            case FloatDistribution(low=low, high=high, log=log):
                return trial.suggest_float(name, low, high, log=log)


def plain(value: Any) -> Any:
    """Return a number as it is, and anything else as a text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else str(value)


def distribution(values: list[Any]) -> BaseDistribution:
    """Return a choice of texts or a few numbers, else an interval; a wide one is logarithmic."""
    distinct = sorted(set(values))
    if len(distinct) <= FEW or isinstance(distinct[0], str):
        return CategoricalDistribution(distinct)
    low, high = distinct[0], distinct[-1]
    return FloatDistribution(low, high, log=low > 0 and high >= 4 * low)
