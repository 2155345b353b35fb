"""The points of a finite space in a fixed order, so that each point is run exactly once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from sweeper.errors import ConfigError
from sweeper.space.live import LiveSpace
from sweeper.space.space import Parameter, Value


class GridSampler(RandomSampler):
    """Marker of a grid study.

    The ledger fixes all parameters of a trial when it creates it, so this sampler draws none.
    """


Axes = Sequence[tuple[str, Sequence[Value]]]


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
    """Return every point of the space, or None if a parameter is an interval."""
    return _grid(live, _listed_values)


def all_points(live: LiveSpace) -> Grid | None:
    """Return every point of a finite space, or None if the space is infinite.

    Unlike in a full grid, a parameter may be an interval of integers.
    """
    return _grid(live, _all_values)


def _grid(live: LiveSpace, values: Callable[[Parameter], Sequence[Value] | None]) -> Grid | None:
    """Return the products of the values of the parameters.

    The parameters of an option's `search` block are combined only with that option.
    """
    groups = live.group_parameters if live.space.auto else []
    blocks = []
    for choice in product(*(p.values or () for p in groups)):
        options = dict(zip((p.key for p in groups), choice, strict=True))
        axes: list[tuple[str, Sequence[Value]]] = []
        for parameter in live.parameters(options).values():
            chosen = (options[parameter.key],) if parameter.key in options else values(parameter)
            if chosen is None:
                return None
            axes.append((parameter.name, chosen))
        blocks.append(axes)
    return Grid(blocks)


def required_grid(live: LiveSpace) -> Grid:
    """Return every point of the space.

    Raises:
        ConfigError: a parameter is an interval, which has no list of points.
    """
    grid = full_grid(live)
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
    return prod(len(values) for _, values in axes)


def _point(axes: Axes, index: int) -> dict[str, Value]:
    pairs = []
    for name, values in reversed(axes):
        index, i = divmod(index, len(values))
        pairs.append((name, values[i]))
    return dict(reversed(pairs))
