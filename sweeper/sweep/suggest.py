"""Parameters of a trial: preset or sampled, with the chosen options' own spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage

from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.space import Parameter, Value, stored


@dataclass(frozen=True)
class Preset:
    """Trials that are not sampled: the default config first, then the user's points."""

    warm_start: bool
    points: Sequence[Mapping[str, Any]] = ()

    def point(self, number: int) -> Mapping[str, Any]:
        """Return what is preset of trial `number`; nothing where it is the sampler's."""
        index = number - self.warm_start
        return self.points[index] if 0 <= index < len(self.points) else {}

    def is_default(self, number: int) -> bool:
        """Tell whether trial `number` is the default config itself."""
        return self.warm_start and number == 0


class Suggester:
    """Gives each trial of a study its parameters."""

    def __init__(self, live: LiveSpace, preset: Preset, storage: BaseStorage) -> None:
        self._live, self._preset, self._storage = live, preset, storage

    def suggest(self, trial: optuna.Trial, place: int) -> Params:
        """Return the trial's parameters, asking its sampler for what `place` does not preset.

        A trial that was cut short keeps what it has: Optuna returns a stored parameter as it is.
        """
        fixed = {key: stored(value) for key, value in self._preset.point(place).items()}
        known = dict(trial.params)
        params: Params = {}
        while True:
            parameters = self._live.parameters(params)
            missing = [p for p in parameters.values() if p.key not in params]
            if not missing:
                return params
            if self._preset.is_default(place):
                fixed = self._live.defaults(params)
            for p in missing:
                if p.key in fixed and p.name not in known and holds(p.distribution, fixed[p.key]):
                    params[p.key] = self._store(trial, p, fixed[p.key])
                else:
                    params[p.key] = _ask(trial, p)

    def _store(self, trial: optuna.Trial, parameter: Parameter, value: Value) -> Value:
        distribution = parameter.distribution
        internal = distribution.to_internal_repr(value)
        self._storage.set_trial_param(trial._trial_id, parameter.name, internal, distribution)
        return value


def _ask(trial: optuna.Trial, parameter: Parameter) -> Value:
    name, d = parameter.name, parameter.distribution
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    if isinstance(d, FloatDistribution):
        return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
    assert isinstance(d, CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)


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
