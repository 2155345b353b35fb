"""An ablation path: the changes from the default config to the winner, in order of their gain.

Each step changes the one parameter, of those that are left, that improves the metric most. With d
parameters that takes at most d(d + 1)/2 runs.

Source: Fawcett and Hoos, "Analysing differences between algorithm configurations through ablation",
Journal of Heuristics 22 (2016).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = frozenset[str]
"""The keys that have the winner's value; the others have the default."""


@dataclass(frozen=True)
class Step:
    """A change of one parameter, and the value of the metric after it."""

    key: str
    value: float


@dataclass(frozen=True)
class Ablation:
    """An ablation path as far as it is known.

    Args:
        start: Value of the default config; None if it is missing.
        steps: The changes, in order.
        missing: The points whose values the next step needs; none if the path is whole.
    """

    start: float | None
    steps: tuple[Step, ...] = ()
    missing: tuple[Point, ...] = ()


def ablation(keys: Sequence[str], known: Mapping[Point, float], maximize: bool) -> Ablation:
    """Return the path along `keys`, given the values of some points.

    The value of a point whose run failed is infinite, and worse than all others. Of equally good
    changes, the first one in `keys` is taken.
    """
    point, steps = Point(), list[Step]()
    if point not in known:
        return Ablation(None, missing=(point,))
    start = known[point]
    while len(point) < len(keys):
        left = [key for key in keys if key not in point]
        missing = [point | {key} for key in left if point | {key} not in known]
        if missing:
            return Ablation(start, tuple(steps), tuple(missing))
        best = (max if maximize else min)(left, key=lambda key: known[point | {key}])  # noqa: B023
        point = point | {best}
        steps.append(Step(best, known[point]))
    return Ablation(start, tuple(steps))
