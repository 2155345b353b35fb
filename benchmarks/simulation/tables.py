"""Tables of learning curves, and how recorded ones are read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "curves"
Array = NDArray[np.float64]
Point = dict[str, Any]
"""Values by config key."""


@dataclass(frozen=True)
class Table:
    """Learning curves of N points, with values at L positions each; larger values are better.

    at: the L positions of the looks, in epochs; all whole epochs are among them.
    val: (N, L) values that a rule may see.
    clock: (N, L) seconds of training until each position, without the looks.
    look: (N,) seconds of a look at the validation images.
    start: (N,) seconds to start a trial, or to take it up again.
    true: (N,) how good a point really is.
    points: the N points of a recorded table.
    """

    name: str
    at: list[float]
    val: Array
    clock: Array
    look: Array
    start: Array
    true: Array
    points: tuple[Point, ...] = ()

    @property
    def epochs(self) -> int:
        """The number of epochs of a complete trial."""
        return int(self.at[-1])

    @property
    def whole_epochs(self) -> list[int]:
        """The looks at the ends of epochs."""
        return [look for look, position in enumerate(self.at) if position.is_integer()]

    def final(self) -> Array:
        """Return what a study compares, (N,): the best value at the end of an epoch."""
        best: Array = self.val[:, self.whole_epochs].max(axis=1)
        return best

    def coordinates(self) -> list[dict[str, float]]:
        """Return the points as numbers by short names."""
        return [coordinates(point) for point in self.points]


def coordinates(point: Point) -> dict[str, float]:
    """Return a point as numbers by short names.

    A list becomes two numbers; that of a place which the list does not have is 0.
    """
    found: dict[str, float] = {}
    for key, value in point.items():
        name = key.rpartition(".")[2]
        if isinstance(value, list):
            found |= {f"{name}_0": value[0], f"{name}_1": [*value, 0][1]}
        else:
            found[name] = value
    return found


def recorded(name: str) -> Table:
    """Read the curves of `curves.py`; a point whose loss became infinite has the value 0 then."""
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    by_index = {row["index"]: row for row in map(json.loads, text.splitlines())}
    rows = [by_index[index] for index in sorted(by_index)]
    at = [float(position) for position in rows[0]["at"]]
    parts = max(len(row["seconds"]) for row in rows)  # of all epochs together
    ends = [round(position * parts / at[-1]) - 1 for position in at]
    seconds = [padded(row["seconds"], parts, row["seconds"][-1]) for row in rows]
    return Table(
        name,
        at,
        val=np.array([padded(row["val"], len(at), 0.0) for row in rows]),
        clock=np.cumsum(seconds, axis=1)[:, ends],
        look=np.array([row["look"] for row in rows]),
        start=np.full(len(rows), np.median([row["start"] for row in rows])),
        true=np.array([row["test"] or 0.0 for row in rows]),
        points=tuple(row["point"] for row in rows),
    )


def padded(values: list[float], length: int, last: float) -> list[float]:
    """Return the values with `last` repeated up to this length."""
    return values + [last] * (length - len(values))
