"""The points of a finite space in a fixed order, so that each point is run exactly once."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from sweeper.errors import ConfigError
from sweeper.space.live import LiveSpace, Params
from sweeper.space.space import Parameter, Value


class GridSampler(RandomSampler):
    """Marker of a grid study.

    The ledger fixes all parameters of a trial when it creates it, so this sampler draws none.
    """


MAX_CHOICES = 10_000
"""The number of choices of options whose points are listed: each needs a config of its own."""

Axes = Sequence[tuple[str, Sequence[Value]]]
ValuesOf = Callable[[Parameter], Sequence[Value] | None]


@dataclass(frozen=True)
class Grid(Sequence[Mapping[str, Value]]):
    """The points of one or more products of axes, one after another.

    `blocks` holds one product each, as pairs of a parameter's Optuna name and its values. The
    last axis of a product varies fastest.
    """

    blocks: Sequence[Axes]

    def __len__(self) -> int:
        return sum(map(_size, self.blocks))

    def __getitem__(self, index: int) -> Mapping[str, Value]:  # type: ignore[override]
        """Return point `index`.

        Raises:
            IndexError: the grid has no such point.
        """
        for axes in self.blocks:
            if index < _size(axes):
                return _point(axes, index)
            index -= _size(axes)
        raise IndexError("no such grid point")


def full_grid(live: LiveSpace) -> Grid | None:
    """Return every point of the space, or None if it has an interval or too many points."""
    return _grid(live, _listed_values)


def all_points(live: LiveSpace) -> Grid | None:
    """Return every point of a finite space, or None if the space is infinite or too large.

    Unlike in a full grid, a parameter may be an interval of integers.
    """
    return _grid(live, _all_values)


def _grid(live: LiveSpace, values: ValuesOf) -> Grid | None:
    """Return the products of the values of the parameters.

    The parameters of an option's `search` block are combined only with that option.
    """
    groups = live.group_parameters if live.space.auto else []
    choices = [p.values or () for p in groups]
    if _has_interval(live, values) or prod(map(len, choices)) > MAX_CHOICES:
        return None
    blocks = []
    for choice in product(*choices):
        axes = _axes(live, dict(zip((p.key for p in groups), choice, strict=True)), values)
        if axes is None:
            return None
        blocks.append(axes)
    return Grid(blocks) if sum(map(_size, blocks)) <= sys.maxsize else None


def _has_interval(live: LiveSpace, values: ValuesOf) -> bool:
    return any(_axes(live, options, values) is None for options in live.option_choices())


def _axes(live: LiveSpace, options: Params, values: ValuesOf) -> Axes | None:
    """Return the values of each parameter of trials with these options, or None for an interval."""
    axes: list[tuple[str, Sequence[Value]]] = []
    for parameter in live.parameters(options).values():
        chosen = (options[parameter.key],) if parameter.key in options else values(parameter)
        if chosen is None:
            return None
        axes.append((parameter.name, chosen))
    return axes


def required_grid(live: LiveSpace) -> Grid:
    """Return every point of the space.

    Raises:
        ConfigError: a parameter is an interval, which has no list of points, or there are too many.
    """
    grid = full_grid(live)
    if grid is None and not _has_interval(live, _listed_values):
        raise ConfigError(
            "the grid sampler cannot list the points of so large a space; type fewer values, or "
            "hydra/sweeper/sampler=random hydra.sweeper.n_trials=100"
        )
    if grid is None:
        intervals = [p.key for p in live.space.parameters.values() if p.values is None]
        raise ConfigError(
            f"the grid sampler cannot list the points of {', '.join(intervals) or 'an interval'}: "
            "use choice() or range(), or another hydra/sweeper/sampler"
        )
    return grid


def _listed_values(parameter: Parameter) -> Sequence[Value] | None:
    return parameter.values


def _all_values(parameter: Parameter) -> Sequence[Value] | None:
    d = parameter.distribution
    if parameter.values is not None:
        return parameter.values
    if isinstance(d, IntDistribution):
        return range(d.low, d.high + 1, d.step)
    assert isinstance(d, FloatDistribution)
    return (d.low,) if d.low == d.high else None


def _size(axes: Axes) -> int:
    return prod(_count(values) for _, values in axes)


def _count(values: Sequence[Value]) -> int:
    """Return the number of values. `len` cannot return more than `sys.maxsize`."""
    if isinstance(values, range):
        return (values.stop - values.start + values.step - 1) // values.step
    return len(values)


def _point(axes: Axes, index: int) -> dict[str, Value]:
    pairs = []
    for name, values in reversed(axes):
        index, i = divmod(index, len(values))
        pairs.append((name, values[i]))
    return dict(reversed(pairs))
