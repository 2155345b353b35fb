"""A trial's parameters: named ones first, then those of the options that it chose."""

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.space import Parameter, Value


def suggest(trial: optuna.Trial, live: LiveSpace) -> Params:
    """Return the trial's parameters by the keys that they override.

    Optuna gives a preset value where the trial has one, the stored one where the trial was cut
    short after it had been sampled, and asks the sampler otherwise.
    """
    params: Params = {}
    while True:
        missing = [p for p in live.parameters(params).values() if p.key not in params]
        if not missing:
            return params
        params |= {p.key: _suggest_one(trial, p) for p in missing}


def _suggest_one(trial: optuna.Trial, parameter: Parameter) -> Value:
    name, d = parameter.name, parameter.distribution
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    if isinstance(d, FloatDistribution):
        return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
    assert isinstance(d, CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)
