"""Points that a study tries before it samples any: the default config and the user's points."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.errors import ConfigError
from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.space import Value, storable


def default_point(live: LiveSpace) -> Params:
    """Return the default config's values by Optuna's names, as far as the space contains them."""
    groups = live.group_parameters
    defaults = live.defaults({})
    options = {p.key: defaults[p.key] for p in groups if contains(p.distribution, defaults[p.key])}
    defaults = live.defaults(options)
    parameters = live.parameters(options).values()
    return {
        p.name: defaults[p.key] for p in parameters if contains(p.distribution, defaults[p.key])
    }


def user_point(live: LiveSpace, point: Mapping[str, Any]) -> Params:
    """Return a point that the user wrote by config key, by Optuna's names.

    Raises:
        ConfigError: a key is not searched, or a value lies outside its distribution.
    """
    values = {key: storable(value) for key, value in point.items()}
    options = {p.key: values[p.key] for p in live.group_parameters if p.key in values}
    parameters = live.parameters(options)
    for key, value in values.items():
        if key not in parameters:
            raise ConfigError(
                f"hydra.sweeper.enqueue: {key} is not searched"
                f"{' with ' + str(options) if options else ''}; choose from {', '.join(parameters)}"
            )
        if not contains(parameters[key].distribution, value):
            raise ConfigError(
                f"hydra.sweeper.enqueue: {key}={value} lies outside "
                f"{parameters[key].distribution}; choose a value within it"
            )
    return {parameters[key].name: value for key, value in values.items()}


def enqueue(study: optuna.Study, points: Sequence[Params]) -> None:
    """Enqueue points, by Optuna's names, that the study does not have yet."""
    for point in points:
        if point:
            study.enqueue_trial(point, skip_if_exists=True)


def contains(distribution: BaseDistribution, value: Value) -> bool:
    """Return whether the distribution can produce this value."""
    if isinstance(distribution, CategoricalDistribution):
        return any(type(c) is type(value) and c == value for c in distribution.choices)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    assert isinstance(distribution, (IntDistribution, FloatDistribution))
    if isinstance(distribution, IntDistribution) and value != int(value):
        return False
    if not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / (distribution.step or 1)
    return distribution.step is None or abs(steps - round(steps)) < 1e-8
