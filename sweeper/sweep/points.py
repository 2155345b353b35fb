"""Points that a study tries before it samples any: the default config and the user's points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import ConfigError
from sweeper.space.grammar import sweep_text
from sweeper.space.live import LiveSpace, Params
from sweeper.space.same_point import same_point
from sweeper.space.space import Parameter, Value, storable
from sweeper.sweep.budget import IMPORTED_KEY, is_own, was_not_needed
from sweeper.sweep.draft import FIXED_PARAMS_KEY


def default_point(live: LiveSpace) -> Params:
    """Return the default config's values by Optuna's names.

    Of a number that the space does not contain it has the nearest one that it does. It lacks a
    parameter whose choices do not list its default.
    """
    defaults = live.defaults({})
    groups = (p for p in live.group_parameters if p.key in defaults)
    options = {p.key: defaults[p.key] for p in groups if contains(p.distribution, defaults[p.key])}
    defaults = live.defaults(options)
    parameters = (p for p in live.parameters(options).values() if p.key in defaults)
    nearest = {p.name: _nearest(p, defaults[p.key]) for p in parameters}
    return {name: value for name, value in nearest.items() if value is not None}


def _nearest(parameter: Parameter, value: Value) -> Value:
    """Return the value of a parameter that is nearest to one; None if it is no number."""
    d = parameter.distribution
    if contains(d, value):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isinstance(d, IntDistribution | FloatDistribution):
        return None
    assert isinstance(value, int | float)
    nearest = min(max(value, d.low), d.high)
    if d.step:
        nearest = min(d.low + round((nearest - d.low) / d.step) * d.step, d.high)
    return parameter.exact(nearest)


def user_point(live: LiveSpace, point: Mapping[str, Any], is_open: bool = False) -> Params:
    """Return a point that the user wrote by config key, by Optuna's names.

    If `is_open`, a function may suggest other keys than the space has.

    Raises:
        ConfigError: a key is not searched, or a value lies outside its distribution.
    """
    values = {key: storable(value) for key, value in point.items()}
    options = {p.key: values[p.key] for p in live.group_parameters if p.key in values}
    parameters = live.parameters(options)
    values |= {key: parameters[key].stored(point[key]) for key in values if key in parameters}
    for key, value in values.items():
        if key not in parameters and not is_open:
            missing = [group.key for group in live.group_parameters if group.key not in options]
            if missing and any(key in live.parameters(each) for each in live.option_choices()):
                raise ConfigError(
                    f"hydra.sweeper.enqueue: whether {key} is searched depends on "
                    f"{', '.join(missing)}; name {'it' if len(missing) == 1 else 'them'} too"
                )
            chosen = " and ".join(f"{group}={option}" for group, option in options.items())
            raise ConfigError(
                f"hydra.sweeper.enqueue: {key} is not searched{f' with {chosen}' if chosen else ''}"
                f"; choose from {', '.join(parameters)}"
            )
        if key in parameters and not contains(parameters[key].distribution, value):
            sweep = sweep_text(distribution_to_json(parameters[key].distribution))
            raise ConfigError(
                f"hydra.sweeper.enqueue: {key}={value} lies outside {sweep}; choose a value within "
                "it"
            )
    return {
        parameters[key].name if key in parameters else key: value for key, value in values.items()
    }


@dataclass(frozen=True)
class FirstPoints:
    """What a study has before it samples any point.

    Args:
        points: Points to try, by Optuna's names.
        trials: Finished trials of other studies, from which the sampler learns.
    """

    points: Sequence[Params] = ()
    trials: Sequence["EarlierTrial"] = ()

    def __add__(self, other: "FirstPoints") -> "FirstPoints":
        return FirstPoints((*self.points, *other.points), (*self.trials, *other.trials))


class EarlierTrial(Protocol):
    """A finished trial of another study, with a value for each parameter of this one."""

    @property
    def point(self) -> Mapping[str, Any]: ...

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]: ...

    @property
    def values(self) -> Sequence[float]: ...


def enqueue(study: optuna.Study, first: FirstPoints, again: bool = False) -> None:
    """Enqueue the points and add the trials that the study does not have yet.

    again: the points whose trials have all failed are enqueued once more.
    """
    for point in first.points:
        if point:
            study.enqueue_trial(point, skip_if_exists=not (again and _has_failed(study, point)))
    # An earlier command may have added some, until it was interrupted.
    imported = [t for t in study.get_trials(deepcopy=False) if not is_own(t)]
    known = {_content(t.params, t.values or ()) for t in imported}
    for number, trial in enumerate(first.trials):
        if _content(trial.point, trial.values) not in known:
            study.add_trial(_imported(trial, number))


def _content(point: Mapping[str, Any], values: Sequence[float]) -> tuple[Any, ...]:
    return frozenset(point.items()), tuple(values)


def _has_failed(study: optuna.Study, point: Params) -> bool:
    """Return whether the study has run trials of a point, and each of them has failed."""
    run = [t for t in study.get_trials(deepcopy=False) if not was_not_needed(t)]
    same = [t for t in run if same_point(t.system_attrs.get(FIXED_PARAMS_KEY, t.params), point)]
    return bool(same) and all(t.state is TrialState.FAIL for t in same)


def _imported(trial: EarlierTrial, number: int) -> FrozenTrial:
    return optuna.trial.create_trial(
        params=dict(trial.point),
        distributions=dict(trial.distributions),
        values=list(trial.values),
        user_attrs={IMPORTED_KEY: True},
        # A database tells by it that a trial whose answer was lost has been written.
        system_attrs={IMPORTED_KEY: number},
    )


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
