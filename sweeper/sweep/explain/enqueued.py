"""A search space in code: the values of an enqueued point that the space itself does not have.

An ablation needs it for keys that only one option of a group has. No search space of overrides can
leave out such a key where another option is chosen.
"""

import optuna
from omegaconf import DictConfig

from sweeper.sweep.draft import FIXED_PARAMS_KEY


def suggest(_: DictConfig, trial: optuna.Trial) -> None:
    """Give the trial the values of its point that it does not have yet."""
    attrs = trial.storage.get_trial_system_attrs(trial._trial_id)
    for name, value in attrs.get(FIXED_PARAMS_KEY, {}).items():
        if name not in trial.params:
            trial.suggest_categorical(name, [value])
