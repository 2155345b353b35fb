"""Families of made-up learning curves, against rules that fit one recorded table only."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from simulation.tables import Array, Table, recorded

QUARTERS = [0.25, 0.5, 0.75]
POINTS = 400


def crossing(epochs: int) -> Table:
    """Return errors that fall as powers of time; speed and final error are independent."""
    random = np.random.default_rng(0)
    floor = 0.02 + 0.3 * random.beta(1.2, 3, POINTS)
    power = random.uniform(0.3, 1.3, POINTS)
    height = random.uniform(0.2, 0.6, POINTS)

    def error(t: float) -> Array:
        return floor + height * (1 + 4 * t) ** -power

    return made_up(f"crossing-{epochs}", epochs, error, np.full(POINTS, 0.004), random)


def slow_wins(epochs: int) -> Table:
    """Return curves in which a small learning rate learns slowly, and wins in the end.

    The error approaches a floor that grows with the rate, in a time that shrinks with it. The
    largest rates diverge. The other hyperparameters have a smaller influence on the floor.
    """
    random = np.random.default_rng(1)
    rate = random.uniform(-4, -1, POINTS)  # the exponent of ten
    tau = 0.006 * epochs * 10 ** (0.75 * -(rate + 3))
    floor = 0.05 + 0.04 * np.maximum(0, rate + 3.3) ** 1.5 + 0.05 * random.beta(2, 4, POINTS)
    noise = 0.002 + 0.01 * 10 ** (0.5 * (rate + 1))

    def error(t: float) -> Array:
        left = 0.7 * np.exp(-t / tau) + 0.3 / (1 + 3 * t / tau)
        return np.where(rate > -1.3, 0.9, floor + (0.9 - floor) * left)

    return made_up(f"slow-wins-{epochs}", epochs, error, noise, random)


def annealed(epochs: int) -> Table:
    """Return curves of a falling learning rate: most of the gain comes near the end."""
    random = np.random.default_rng(2)
    floor = 0.03 + 0.25 * random.beta(1.2, 3, POINTS)
    hidden = random.uniform(0.05, 0.3, POINTS)  # the error that a high rate keeps up
    power = random.uniform(0.5, 1.2, POINTS)

    def error(t: float) -> Array:
        rate = 0.5 * (1 + math.cos(math.pi * t / epochs))
        return floor + hidden * rate + 0.4 * (1 + 4 * t) ** -power

    return made_up(f"annealed-{epochs}", epochs, error, np.full(POINTS, 0.006), random)


def easy(epochs: int) -> Table:
    """Return a task on which many points are almost equally good after a few epochs."""
    random = np.random.default_rng(3)
    floor = 0.02 + 0.4 * random.beta(0.4, 2.5, POINTS)
    tau = np.exp(random.uniform(np.log(0.2), np.log(4), POINTS))

    def error(t: float) -> Array:
        left: Array = np.exp(-t / tau)
        return floor + (0.9 - floor) * left

    return made_up(f"easy-{epochs}", epochs, error, np.full(POINTS, 0.003), random)


def made_up(
    name: str,
    epochs: int,
    error: Callable[[float], Array],
    noise: Array,
    random: np.random.Generator,
) -> Table:
    """Return a table; `error` returns the errors of all points after some epochs, without noise."""
    at = [*QUARTERS, *map(float, range(1, epochs + 1))]
    errors = np.stack([error(position) for position in at], axis=1)
    val = 1 - errors + noise[:, None] * random.standard_normal(errors.shape)
    seconds = np.exp(random.uniform(0, np.log(8), POINTS))  # of an epoch
    return Table(
        name,
        at,
        val,
        clock=seconds[:, None] * np.array(at),
        look=0.07 * seconds,
        start=np.full(POINTS, 0.5),
        true=1 - errors[:, -1],
    )


MADE_UP = {
    f"{family.__name__.replace('_', '-')}-{epochs}": partial(family, epochs)
    for family in (crossing, slow_wins, annealed, easy)
    for epochs in (5, 20, 50)
}


def table(name: str) -> Table:
    """Return a table by its name: a family with its epochs, or a file of `curves/`."""
    return MADE_UP[name]() if name in MADE_UP else recorded(name)
