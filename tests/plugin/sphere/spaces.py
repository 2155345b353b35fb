"""A search space in code, for `hydra.sweeper.custom_search_space`."""

import optuna
from omegaconf import DictConfig


def more(config: DictConfig, trial: optuna.Trial) -> None:
    """Suggest the number of steps."""
    trial.suggest_int("steps", 1, config.steps + 2)


def two_points(_: DictConfig, trial: optuna.Trial) -> None:
    """Suggest one of two values of x."""
    trial.suggest_categorical("x", [1, 2])


def nothing(_: DictConfig, trial: optuna.Trial) -> None:
    """Suggest nothing."""


def noting_classes(_: DictConfig, trial: optuna.Trial) -> None:
    """Suggest nothing, and note which sampler and which pruner the worker has."""
    trial.set_user_attr("sampler", type(trial.study.sampler).__name__)
    trial.set_user_attr("pruner", type(trial.study.pruner).__name__)
