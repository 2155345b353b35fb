"""Points that are tried before any is sampled: the default config, and the user's own."""

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
from sweeper.sweep.space import Value, stored


def default_point(live: LiveSpace) -> Params:
    """Return the default config's values by Optuna's names, where the space has them."""
    options = {p.key: p for p in live.groups}
    defaults = live.defaults({})
    chosen = {k: defaults[k] for k, p in options.items() if holds(p.distribution, defaults[k])}
    defaults = live.defaults(chosen)
    found = live.parameters(chosen).values()
    return {p.name: defaults[p.key] for p in found if holds(p.distribution, defaults[p.key])}


def named_point(live: LiveSpace, point: Mapping[str, Any]) -> Params:
    """Return a user's point by Optuna's names.

    Raises ConfigError naming a key that is not searched, or a value outside its space.
    """
    values = {key: stored(value) for key, value in point.items()}
    chosen = {p.key: values[p.key] for p in live.groups if p.key in values}
    found = live.parameters(chosen)
    for key, value in values.items():
        if key not in found:
            raise ConfigError(
                f"hydra.sweeper.enqueue names {key}, which is not searched"
                f"{' with ' + str(chosen) if chosen else ''}; searched are {', '.join(found)}"
            )
        if not holds(found[key].distribution, value):
            raise ConfigError(
                f"hydra.sweeper.enqueue gives {key}={value}, which lies outside "
                f"{found[key].distribution}"
            )
    return {found[key].name: value for key, value in values.items()}


def enqueue(study: optuna.Study, points: Sequence[Params]) -> None:
    """Put points before the sampler's; one that the study already has is left out."""
    for point in points:
        if point:
            study.enqueue_trial(point, skip_if_exists=True)


def holds(distribution: BaseDistribution, value: Value) -> bool:
    """Tell whether the distribution can give this value."""
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
