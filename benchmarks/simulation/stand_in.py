"""The recorded point that stands in for another one: what matters little may differ."""

import numpy as np
from sklearn.tree import ExtraTreeRegressor

from simulation.space import Space
from simulation.tables import Array, Point, Table

EDGE = 0.0015
"""Values count by the logarithm of their odds, from this one to 1 minus it."""
ABSENT = -1.0


class StandIn:
    """Finds the recorded point of a point that was drawn.

    A random tree is grown until each of its leaves has one recorded point. It splits where curves,
    results and costs differ most, so that points in one leaf are alike in the keys that matter.
    Another seed grows another tree.
    """

    def __init__(self, table: Table, space: Space, seed: int) -> None:
        pairs = {(k, v if isinstance(v, str) else None) for p in space.points for k, v in p.items()}
        self._columns = sorted(pairs, key=str)
        inputs = np.array([self._encoded(point) for point in space.points])
        columns = [log_odds(table.val), log_odds(table.true[:, None]), np.log(table.clock[:, -1:])]
        outputs = np.hstack([column / column.std() for column in columns])
        self._tree = ExtraTreeRegressor(max_features=0.5, random_state=seed).fit(inputs, outputs)
        self._recorded = {leaf: i for i, leaf in enumerate(self._tree.apply(inputs))}

    def __call__(self, point: Point) -> int:
        """Return the index of the recorded point."""
        [leaf] = self._tree.apply(np.array([self._encoded(point)]))
        return self._recorded[leaf]

    def _encoded(self, point: Point) -> list[float]:
        """Return a point as numbers: a column for each text, and one for each key of numbers."""
        return [
            float(point.get(key) == text) if text is not None else number(point.get(key))
            for key, text in self._columns
        ]


def number(value: float | None) -> float:
    """Return a number as it is: a tree asks only for the order; `ABSENT` for none."""
    return ABSENT if value is None else value


def log_odds(values: Array) -> Array:
    """Return how far fractions are from 0 and 1."""
    inside = np.clip(values, EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))
