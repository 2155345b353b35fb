"""Tables of learning curves: recorded ones from `curves/`, and made-up families."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "curves"
QUARTERS = [0.25, 0.5, 0.75]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Learning curves of N points, with values at L positions each; larger values are better.

    at: the L positions of the looks, in epochs; all whole epochs are among them.
    val: (N, L) values that a rule may see.
    clock: (N, L) seconds of training until each position, without the looks.
    look: (N,) seconds of a look at the validation images.
    start: (N,) seconds to start a trial, or to take it up again.
    true: (N,) how good a point really is.
    """

    name: str
    at: list[float]
    val: Array
    clock: Array
    look: Array
    start: Array
    true: Array
    points: tuple[dict[str, Any], ...] = ()
    """The parameters of recorded points by config key."""

    def coordinates(self) -> list[dict[str, float]]:
        """Return the parameters as numbers by short names; a list has a name for each place.

        A place that a shorter list does not have is 0.
        """
        found: list[dict[str, float]] = []
        for point in self.points:
            flat: dict[str, float] = {}
            for key, value in point.items():
                name = key.rpartition(".")[2]
                places = value if isinstance(value, list) else None
                flat |= {name: value} if places is None else dict(zip((f"{name}_0", f"{name}_1"), [*places, 0], strict=False))
            found.append(flat)
        return found

    @property
    def epochs(self) -> int:
        """The number of epochs of a complete trial."""
        return int(self.at[-1])

    def final(self) -> Array:
        """Return what a study compares, (N,): the best value at the end of an epoch."""
        whole = [look for look, position in enumerate(self.at) if float(position).is_integer()]
        return self.val[:, whole].max(axis=1)


def recorded(name: str, path: Path | None = None) -> Table:
    """Read the curves of `curves.py`; a point whose loss became infinite has the value 0 then."""
    text = (path or FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    rows = sorted(map(json.loads, text.splitlines()), key=lambda row: row["index"])
    at = rows[0]["at"]
    parts = max(len(row["seconds"]) for row in rows) / at[-1]
    ends = [round(position * parts) for position in at]
    seconds = [_padded(row["seconds"], ends[-1], row["seconds"][-1]) for row in rows]
    clock = np.cumsum(seconds, axis=1)
    return Table(
        name,
        at,
        val=np.array([_padded(row["val"], len(at), 0.0) for row in rows]),
        clock=np.stack([clock[:, end - 1] for end in ends], axis=1),
        look=np.array([row["look"] for row in rows]),
        start=np.full(len(rows), np.median([row["start"] for row in rows])),
        true=np.array([row["test"] or 0.0 for row in rows]),
        points=tuple(row["point"] for row in rows),
    )


def _padded(values: list[float], length: int, last: float) -> list[float]:
    return values + [last] * (length - len(values))


def crossing(epochs: int, points: int = 400, seed: int = 0) -> Table:
    """Make up errors that fall as powers of time; speed and final error are independent."""
    random = np.random.default_rng(seed)
    floor = 0.02 + 0.3 * random.beta(1.2, 3, points)
    power = random.uniform(0.3, 1.3, points)
    height = random.uniform(0.2, 0.6, points)
    return _made_up(
        f"crossing-{epochs}",
        epochs,
        lambda t: floor + height * (1 + 4 * t) ** -power,
        np.full(points, 0.004),
        random,
    )


def slow_wins(epochs: int, points: int = 400, seed: int = 1) -> Table:
    """Make up curves in which a small learning rate learns slowly, and wins in the end.

    The error approaches a floor that grows with the rate, in a time that shrinks with it. Large
    rates diverge. The other hyperparameters are a second, smaller influence on the floor.
    """
    random = np.random.default_rng(seed)
    rate = random.uniform(-4, -1, points)  # the exponent of ten
    tau = 0.006 * epochs * 10 ** (0.75 * -(rate + 3))
    floor = 0.05 + 0.04 * np.maximum(0, rate + 3.3) ** 1.5 + 0.05 * random.beta(2, 4, points)
    diverged = rate > -1.3

    def error(t: Array) -> Array:
        learning = floor + (0.9 - floor) * (0.7 * np.exp(-t / tau) + 0.3 * (1 + 3 * t / tau) ** -1)
        return np.where(diverged, 0.9, learning)

    noise = 0.002 + 0.01 * 10 ** (0.5 * (rate + 1))
    return _made_up(f"slow-wins-{epochs}", epochs, error, noise, random)


def annealed(epochs: int, points: int = 400, seed: int = 2) -> Table:
    """Make up curves of a falling learning rate: most of the gain comes near the end."""
    random = np.random.default_rng(seed)
    floor = 0.03 + 0.25 * random.beta(1.2, 3, points)
    hidden = random.uniform(0.05, 0.3, points)  # the error that a high rate keeps up
    power = random.uniform(0.5, 1.2, points)

    def error(t: Array) -> Array:
        rate = 0.5 * (1 + np.cos(np.pi * t / epochs))
        return floor + hidden * rate + 0.4 * (1 + 4 * t) ** -power

    return _made_up(f"annealed-{epochs}", epochs, error, np.full(points, 0.006), random)


def easy(epochs: int, points: int = 400, seed: int = 3) -> Table:
    """Make up a task on which half of the points are almost equally good after a few epochs."""
    random = np.random.default_rng(seed)
    floor = 0.02 + 0.4 * random.beta(0.4, 2.5, points)
    tau = np.exp(random.uniform(np.log(0.2), np.log(4), points))
    return _made_up(
        f"easy-{epochs}",
        epochs,
        lambda t: floor + (0.9 - floor) * np.exp(-t / tau),
        np.full(points, 0.003),
        random,
    )


def _made_up(
    name: str,
    epochs: int,
    error: Callable[[Array], Array],
    noise: Array,
    random: np.random.Generator,
) -> Table:
    """Return a table with noisy values; `error` has the error of all points at one time."""
    at = [*QUARTERS, *map(float, range(1, epochs + 1))]
    errors = np.stack([error(np.float64(t)) for t in at], axis=1)
    val = 1 - errors + noise[:, None] * random.standard_normal(errors.shape)
    epoch_seconds = np.exp(random.uniform(0, np.log(8), len(noise)))
    look, start = 0.07 * epoch_seconds, np.full(len(noise), 0.5)
    return Table(name, at, val, epoch_seconds[:, None] * np.array(at), look, start, 1 - errors[:, -1])


MADE_UP: dict[str, Callable[[], Table]] = {
    f"{family.__name__.replace('_', '-')}-{epochs}": (lambda f=family, e=epochs: f(e))
    for family in (crossing, slow_wins, annealed, easy)
    for epochs in (5, 20, 50)
}


def table(name: str) -> Table:
    """Return a table by its name: a family with its epochs, or a file of `curves/`."""
    return MADE_UP[name]() if name in MADE_UP else recorded(name)
