"""The part of another study's or run's point that lies in a search space."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.cli.overrides import bare_key
from sweeper.space.live import LiveSpace, Params, config_key
from sweeper.space.space import Parameter, Value
from sweeper.sweep.elsewhere.finding import Finding
from sweeper.sweep.points import contains


@dataclass(frozen=True)
class Fitted:
    """The part of a finding that lies in a space.

    Args:
        point: Values by Optuna's names.
        distributions: Distribution of each of these.
        is_whole: True if no parameter lacks a value.
        values: Values of the objectives.
        unknown: Keys that the source searched and this study does not.
        outside: Keys whose value this study cannot sample.
    """

    point: Params
    distributions: Mapping[str, BaseDistribution]
    is_whole: bool
    values: tuple[float, ...]
    unknown: frozenset[str]
    outside: frozenset[str]


def fit(live: LiveSpace, finding: Finding) -> Fitted:
    """Return the part of a finding that lies in a space."""
    searched = _by_key(finding.searched)
    known = {**_by_key(finding.config), **searched}
    options = {p.key: v for p, v in _fitting(live.group_parameters, known) if v is not None}
    parameters = list(live.parameters(options).values())
    pairs = list(_fitting(parameters, known))
    found = {p.name: (v, p.distribution) for p, v in pairs if v is not None}
    return Fitted(
        point={name: value for name, (value, _) in found.items()},
        distributions={name: distribution for name, (_, distribution) in found.items()},
        is_whole=len(found) == len(parameters),
        values=finding.values,
        unknown=frozenset(searched) - {bare_key(p.key) for p in parameters},
        outside=frozenset(bare_key(p.key) for p, value in pairs if value is None),
    )


def _fitting(
    parameters: "list[Parameter]", known: Mapping[str, Any]
) -> Iterator[tuple[Parameter, Value]]:
    """Yield the parameters that have a value, with the value; None if they cannot take it."""
    for parameter in parameters:
        key = bare_key(parameter.key)
        if key in known:
            yield parameter, fitting_value(parameter, known[key])


def fitting_value(parameter: Parameter, value: Any) -> Value:
    """Return a value as this study would sample it, or None if it cannot.

    MLflow and other programs keep lists, and often numbers, as text.
    """
    for each in _readings(value):
        for form in (parameter.stored(each), *_equal_choices(parameter.distribution, each)):
            if contains(parameter.distribution, form):
                return _typed(parameter.distribution, form)
    return None


def _readings(value: Any) -> Iterator[Any]:
    """Yield what a value may mean: itself and, of a text, the Python value that it spells."""
    yield value
    if isinstance(value, str):
        try:
            yield ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return


def _equal_choices(distribution: BaseDistribution, value: Any) -> Iterator[Value]:
    """Yield the choices that are the same number as a value, such as 0 for 0.0."""
    if isinstance(distribution, CategoricalDistribution) and type(value) in (int, float):
        yield from (c for c in distribution.choices if type(c) in (int, float) and c == value)


def _typed(distribution: BaseDistribution, value: Any) -> Value:
    if isinstance(distribution, IntDistribution):
        return int(value)
    return float(value) if isinstance(distribution, FloatDistribution) else value


def _by_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by config key, given those that Optuna stores by name."""
    return {bare_key(config_key(name)): value for name, value in values.items()}
