"""A space in code, as `hydra.sweeper.custom_search_space` takes it."""

import optuna
from omegaconf import DictConfig


def more(config: DictConfig, trial: optuna.Trial) -> None:
    """Search how many steps a run has."""
    trial.suggest_int("steps", 1, config.steps + 2)
