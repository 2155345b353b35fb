"""Hydra's override grammar read as a search space, as the official Optuna sweeper reads it.

`range(a, b)` ends before `b` under every sampler, as it does in Hydra's own sweeper; the official
plugin includes `b` when it samples and leaves it out when it enumerates.
"""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.errors import ConfigError

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Parameter:
    """One swept key; `values` lists a finite one's points in order, None for an interval.

    `name` is what Optuna calls it: the key, save where two options search a key differently.
    """

    key: str
    distribution: BaseDistribution
    values: tuple[Value, ...] | None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.key)

    @property
    def ends(self) -> tuple[Value, Value]:
        """The first and the last value."""
        if self.values:
            return self.values[0], self.values[-1]
        assert isinstance(self.distribution, (IntDistribution, FloatDistribution))
        return self.distribution.low, self.distribution.high


@dataclass(frozen=True)
class Space:
    """What a study searches: swept parameters, fixed overrides, and whether options add theirs.

    With `auto`, the `search` block of every chosen option adds its parameters.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    auto: bool = False

    def names(self, key: str) -> bool:
        """Tell whether the user swept or fixed `key` himself, with whatever prefix."""
        plain = {k.lstrip("+~") for k in (*self.parameters, *self.fixed)}
        return key in plain


def parse_space(
    overrides: Iterable[str], loader: ConfigLoader | None = None, auto: bool | None = None
) -> Space:
    """Split override lines into swept parameters and fixed ones; a later line for a key wins.

    `auto` None means: the options' own spaces count when no line sweeps anything.
    Raises ConfigError for a sweep that no sampler could use.
    """
    parser = OverridesParser.create(config_loader=loader)
    parameters: dict[str, Parameter] = {}
    fixed: dict[str, str] = {}
    for override in parser.parse_overrides(list(overrides)):
        key = override.get_key_element()
        parameters.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            parameters[key] = _parameter(key, override)
        else:
            fixed[key] = str(override.input_line)
    return Space(parameters, fixed, auto=not parameters if auto is None else auto)


def stored(value: Any) -> Value:
    """Return a choice as Optuna can store it: numbers as they are, the rest as override text."""
    if isinstance(value, (bool, int, float)):
        return value
    return str(Override._get_value_element_as_str(value))


def _parameter(key: str, override: Override) -> Parameter:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return Parameter(key, _interval(key, value), None)
    points = tuple(stored(x) for x in _points(override))
    if not points:
        raise ConfigError(f"{key}={_text(override)} is empty: give it at least one value")
    if isinstance(value, RangeSweep) and not value.shuffle and value.step > 0:
        return Parameter(key, _range(value, points), points)
    if len(set(points)) < len(points):
        raise ConfigError(f"{key}={_text(override)} names a value twice: give each value once")
    return Parameter(key, CategoricalDistribution(points), points)


def _points(override: Override) -> list[Any]:
    """List the sweep's points; a shuffle is the same one in every process and on resume."""
    sweep = override.value()
    if not isinstance(sweep, (ChoiceSweep, RangeSweep)) or not sweep.shuffle:
        return list(override.sweep_iterator())
    points = list(sweep.list if isinstance(sweep, ChoiceSweep) else sweep.range())
    random.Random(override.input_line).shuffle(points)
    return points


def _range(sweep: RangeSweep, points: tuple[Any, ...]) -> BaseDistribution:
    if all(isinstance(x, int) for x in points):
        return IntDistribution(points[0], points[-1], step=int(sweep.step))
    return FloatDistribution(points[0], points[-1], step=float(sweep.step))


def _interval(key: str, sweep: IntervalSweep) -> BaseDistribution:
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    if low is None or high is None or not low <= high or not math.isfinite(high - low):
        raise ConfigError(f"{key}=interval({low}, {high}) needs finite low <= high")
    if log and low <= 0:
        raise ConfigError(
            f"{key}=tag(log, interval({low}, {high})) has no logarithm at {low}: start above 0"
        )
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _text(override: Override) -> str:
    return str(override.input_line).partition("=")[2]
