"""A finite space, point by point: trial number k has the k-th point, so each is had once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from optuna.samplers import RandomSampler

from sweeper.errors import ConfigError
from sweeper.sweep.live import LiveSpace
from sweeper.sweep.space import Parameter, Value


class GridSampler(RandomSampler):
    """Marks a study as a grid: every trial is given its point, and nothing is left to sample."""


Axes = Sequence[tuple[str, tuple[Value, ...]]]


@dataclass(frozen=True)
class Grid(Sequence[Mapping[str, Value]]):
    """The points of products of axes by Optuna's names; the last axis is the fastest."""

    blocks: Sequence[Axes]

    def __len__(self) -> int:
        return sum(map(_size, self.blocks))

    def __getitem__(self, number: int) -> Mapping[str, Value]:  # type: ignore[override]
        """Return point `number`. Raises IndexError past the last one."""
        for axes in self.blocks:
            if number < _size(axes):
                return _point(axes, number)
            number -= _size(axes)
        raise IndexError("no such grid point")


def full_grid(live: LiveSpace) -> Grid | None:
    """Return every point of the space, or None where some parameter is an interval.

    An option's own space is crossed with the rest only where that option is chosen.
    """
    groups = live.groups if live.space.auto else []
    blocks = []
    for choice in product(*(_values(p) for p in groups)):
        chosen = dict(zip((p.key for p in groups), choice, strict=True))
        parameters = live.parameters(chosen).values()
        if any(p.values is None for p in parameters):
            return None
        one = {key: (value,) for key, value in chosen.items()}
        blocks.append([(p.name, one.get(p.key, _values(p))) for p in parameters])
    return Grid(blocks)


def required_grid(live: LiveSpace) -> Grid:
    """Return the full grid. Raises ConfigError naming an interval, which has no points."""
    grid = full_grid(live)
    if grid is None:
        named = [p.key for p in live.space.parameters.values() if p.values is None]
        raise ConfigError(
            f"the grid sampler cannot list the points of {', '.join(named) or 'an interval'}: "
            "use choice() or range(), or another hydra/sweeper/sampler"
        )
    return grid


def _values(parameter: Parameter) -> tuple[Value, ...]:
    return parameter.values or ()


def _size(axes: Axes) -> int:
    return prod(len(values) for _, values in axes)


def _point(axes: Axes, number: int) -> dict[str, Value]:
    digits = []
    for key, values in reversed(axes):
        number, digit = divmod(number, len(values))
        digits.append((key, values[digit]))
    return dict(reversed(digits))
