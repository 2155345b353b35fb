"""The recorded point that is nearest to another one."""

import math
from collections.abc import Callable, Mapping, Sequence


def nearest(points: Sequence[Mapping[str, float]], point: Mapping[str, float]) -> int:
    """Return the index of the point with the smallest distance, each key scaled to 0..1.

    A key with positive values over a factor of four or more counts by its logarithm.
    """

    def distance(other: Mapping[str, float]) -> float:
        gaps = (scaled[key](point[key]) - scaled[key](other[key]) for key in point)
        return math.hypot(*gaps)

    scaled = {key: scaling([other[key] for other in points]) for key in point}
    return min(range(len(points)), key=lambda index: distance(points[index]))


def scaling(values: list[float]) -> Callable[[float], float]:
    """Return the function that maps the range of these values to 0..1."""
    low, high = min(values), max(values)
    if low > 0 and high >= 4 * low:
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / (high - low)
