"""Search spaces in Hydra's override grammar, as the official Optuna sweeper reads it.

There is one difference: `range(a, b)` excludes `b` under every sampler, as in Hydra's own sweeper.
The official plugin includes `b` when it samples and excludes it when it enumerates.
"""

import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
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

from sweeper.cli.overrides import bare_key, override_text, to_type
from sweeper.errors import ConfigError
from sweeper.space.same_point import point_key

MAX_VALUES = 100_000
"""The number of values of a range. They are listed, unlike those of an interval."""

BOUNDS_OF_RANGE = ("start", "stop", "step")
"""The arguments of a range in Hydra's grammar."""

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Parameter:
    """A swept config key.

    Args:
        key: The config key.
        distribution: Optuna's distribution of its values.
        values: All values in order; None for an interval.
        name: Optuna's name. It is the key unless two options search the key differently.
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

    @property
    def fraction(self) -> float | None:
        """A value with a fraction in an interval whose ends are whole; None for anything else.

        The ends of such an interval suit a key that takes whole numbers, and its values do not.
        """
        d = self.distribution
        if self.values is not None or not isinstance(d, FloatDistribution) or d.low == d.high:
            return None
        return d.low + 0.5 if d.low.is_integer() and d.high.is_integer() else None

    @property
    def whole(self) -> str:
        """The override that samples the whole numbers of the interval alone."""
        low, high = self.ends
        interval = f"int(interval({low:.0f},{high:.0f}))"
        is_log = getattr(self.distribution, "log", False)
        return f"{self.key}={f'tag(log,{interval})' if is_log else interval}"

    def stored(self, value: Any) -> Value:
        """Return a plain value in the form in which Optuna stores it for this parameter."""
        form, text = storable(value), override_text(value)
        is_choice = isinstance(self.distribution, CategoricalDistribution)
        return text if is_choice and text in (self.values or ()) else form

    def exact(self, value: Value) -> Value:
        """Return the value of the range that a sampled one stands for.

        Samplers add up steps, so they give 0.30000000000000004 for 0.3.
        """
        d = self.distribution
        if self.values is None or not isinstance(d, FloatDistribution) or d.step is None:
            return value
        assert isinstance(value, int | float)
        index = round((value - d.low) / d.step)
        return self.values[index] if 0 <= index < len(self.values) else value


@dataclass(frozen=True)
class Space:
    """The search space of a study.

    Args:
        parameters: Swept parameters by key.
        fixed: Overrides that have a single value, by key.
        auto: True if the `search` block of every chosen option adds its parameters.
        order: The keys of `parameters` and `fixed` in the order of their overrides.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    auto: bool = False
    order: Sequence[str] = ()

    def has_override(self, key: str) -> bool:
        """Return whether the user swept or fixed `key`, with any prefix."""
        return key in map(bare_key, (*self.parameters, *self.fixed))


def parse_space(
    overrides: Iterable[str], loader: ConfigLoader | None = None, auto: bool | None = None
) -> Space:
    """Return the search space that the overrides describe; the last override of a key counts.

    A key that an earlier override adds with `+` is added by a later one without it too.

    `auto` is that of `Space`; None makes it true if the overrides sweep nothing.

    Raises:
        ConfigError: a sweep is empty, has a value twice, or has invalid bounds.
    """
    parser = OverridesParser.create(config_loader=loader)
    parameters: dict[str, Parameter] = {}
    fixed: dict[str, str] = {}
    order: dict[str, None] = {}
    for override in parser.parse_overrides(list(overrides)):
        key, line = override.get_key_element(), str(override.input_line)
        plain = key.lstrip("+")  # `~key` removes a key, which a later override may add again
        earlier = [each for each in order if each.lstrip("+") == plain]
        if earlier and key == plain:
            added = earlier[-1].removesuffix(plain)
            key, line = added + key, added + line
        for each in earlier:
            for known in (parameters, fixed, order):
                known.pop(each, None)
        order[key] = None
        if override.is_sweep_override():
            parameters[key] = _parameter(key, override)
        else:
            fixed[key] = line
    is_auto = not parameters if auto is None else auto
    return Space(parameters, fixed, is_auto, tuple(order))


def storable(value: Any) -> Value:
    """Return a plain value in a form that Optuna can store: numbers as such, others as text.

    The text is in Hydra's override grammar.
    """
    is_number = isinstance(value, bool | int | float) and not isinstance(value, Enum)
    # JSON, and so Optuna's storages, have no number that is not finite.
    return value if is_number and math.isfinite(value) else override_text(value)


def _parameter(key: str, override: Override) -> Parameter:
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return Parameter(key, _interval(key, sweep, override), None)
    if isinstance(sweep, RangeSweep):
        _check_range(key, sweep, override)
    values = _distinguishable([storable(x) for x in _sweep_values(override)])
    text = f"{key}={_sweep_text(override)}"
    if not values:
        raise ConfigError(f"{text}: has no values; give at least one")
    if len(set(values)) < len(values):
        raise ConfigError(f"{text}: has a value twice; give each value once")
    if len({point_key({key: x}) for x in values}) < len(values):
        raise ConfigError(
            f"{text}: has numbers that agree in 12 digits and count as one; give each value once"
        )
    if isinstance(sweep, RangeSweep) and not sweep.shuffle and sweep.step > 0:
        return Parameter(key, _range(sweep, values), values)
    return Parameter(key, CategoricalDistribution(values), values)


def _distinguishable(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return the values, as texts if Optuna would take some of them for the same: 1, 1.0 and true.

    A text that only looks like a number is in quotes, so these texts are unique.
    """
    texts = tuple(override_text(x) if not isinstance(x, str) else x for x in values)
    return texts if len(set(values)) < len(set(texts)) else tuple(values)


def _check_range(key: str, sweep: RangeSweep, override: Override) -> None:
    """Check a range before its values are listed."""
    text = f"{key}={_sweep_text(override)}"
    bounds = (sweep.start, sweep.stop, sweep.step)
    if not all(x is not None and math.isfinite(x) for x in bounds) or sweep.step == 0:
        raise ConfigError(f"{text}: needs finite bounds and a step other than 0")
    start, stop, step = (float(x) for x in bounds if x is not None)
    if (stop - start) / step > MAX_VALUES:
        raise ConfigError(
            f"{text}: has more than {MAX_VALUES:,} values; type a larger step, or "
            f"{key}=interval({sweep.start},{sweep.stop})"
        )
    if (stop - start) / step < 0:
        raise ConfigError(f"{text}: has no values; {to_type(f'{key}={_ascending(override)}')}")


def _sweep_values(override: Override) -> list[Any]:
    """Return the sweep's values; a shuffle gives the same order in every process and on resume."""
    sweep = override.value()
    if not isinstance(sweep, (ChoiceSweep, RangeSweep)) or not sweep.shuffle:
        return [Override._convert_value(x) for x in override.sweep_iterator()]
    values = list(sweep.list if isinstance(sweep, ChoiceSweep) else sweep.range())
    random.Random(override.input_line).shuffle(values)
    return [Override._convert_value(x) for x in values]


def _range(sweep: RangeSweep, values: tuple[Any, ...]) -> BaseDistribution:
    if all(isinstance(x, int) for x in values):
        return IntDistribution(values[0], values[-1], step=int(sweep.step))
    return FloatDistribution(values[0], values[-1], step=float(sweep.step))


def _interval(key: str, sweep: IntervalSweep, override: Override) -> BaseDistribution:
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    text = f"{key}={_sweep_text(override)}"
    if low is None or high is None or not math.isfinite(high - low):
        raise ConfigError(f"{text}: needs finite bounds; type numbers, such as interval(0.1,0.5)")
    if low > high:
        advice = to_type(f"{key}={_ascending(override)}")
        raise ConfigError(f"{text}: the lower bound stands first; {advice}")
    if log and low <= 0:
        raise ConfigError(f"{text}: {low} has no logarithm; start above 0")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _ascending(override: Override) -> str:
    """Return the text of an interval or a range from its lower to its higher bound.

    What stands around it stays as it was typed, such as `tag(log,...)` and `int(...)`.
    """
    is_interval = isinstance(override.value(), IntervalSweep)
    name, names = ("interval", ("start", "end")) if is_interval else ("range", BOUNDS_OF_RANGE)

    def turned(match: re.Match[str]) -> str:
        given = [
            argument.rpartition("=")[::2] for argument in re.sub(r"\s", "", match[1]).split(",")
        ]
        places = ("stop",) if not is_interval and len(given) == 1 else names
        typed = {key or place: value for (key, value), place in zip(given, places, strict=False)}
        bounds = sorted((typed.get(names[0], "0"), typed[names[1]]), key=float)
        step = [typed["step"].lstrip("-")] if "step" in typed else []
        return f"{name}({','.join([*bounds, *step])})"

    return re.sub(rf"\b{name}\s*\(([^()]*)\)", turned, _sweep_text(override), count=1)


def _sweep_text(override: Override) -> str:
    return str(override.input_line).partition("=")[2]
