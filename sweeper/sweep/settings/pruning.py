"""The pruner of a study: that of the settings, unless the study prunes no trial."""

import logging
import math
from collections.abc import Container, Sequence
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner

from sweeper.cli.overrides import bare_key
from sweeper.errors import ConfigError
from sweeper.space.live import LiveSpace
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.promotion_pruner import PromotionPruner
from sweeper.sweep.settings.nodes import is_node
from sweeper.sweep.settings.recipes import PrunerRecipe

log = logging.getLogger(__name__)

NO_PRUNER = PrunerRecipe(NopPruner)
LENGTH_KEYS = ("trainer.epochs", "trainer.max_epochs", "epochs", "max_epochs", "n_epochs")
"""The keys by which a config may name the number of epochs of a run."""
CHOOSING = ("hydra/sweeper/pruner", "hydra.sweeper.pruner")


def study_pruner(
    recipe: PrunerRecipe, config: DictConfig, directions: Sequence[str], is_grid: bool
) -> PrunerRecipe:
    """Return the recipe, or that of no pruner for a study that prunes no trial.

    The points of a grid are pruned only if the user chose a pruner. With several objectives Optuna
    prunes no trial.

    Raises:
        ConfigError: the user chose a pruner for a study with several objectives.
    """
    is_chosen = not is_node(recipe.make) or _is_typed(config)
    if recipe.kind is NopPruner or (is_grid and not is_chosen):
        return NO_PRUNER
    if len(directions) == 1:
        return recipe
    if is_chosen:
        raise ConfigError(
            f"hydra.sweeper.pruner: {recipe.kind.__name__} compares single values, and this study "
            f"has {len(directions)} objectives; type hydra/sweeper/pruner=none"
        )
    log.info("No trial is pruned, since the study has %d objectives", len(directions))
    return NO_PRUNER


def promotion_of(
    recipe: PrunerRecipe,
    directions: Sequence[str],
    resumable: bool | None,
    n_finalists: int = 0,
    repeats: int = 1,
) -> Promotion | None:
    """Return the rule of promotion of a study with this pruner, or None if it pauses no trial.

    At least `n_finalists` trials are trained to their end, each with `repeats` seeds.
    """
    pruner = recipe.pruner()
    if not isinstance(pruner, PromotionPruner):
        return None
    rule = pruner.rule(directions[0] == "maximize", resumable)
    return replace(rule, finish=max(rule.finish, n_finalists), repeats=repeats)


def with_numbers(
    rule: Promotion | None, live: LiveSpace, growing: Sequence[str]
) -> Promotion | None:
    """Return the rule with the number of epochs in the default config, and what may be raised.

    Keys that the study searches have no such number.
    """
    if rule is None:
        return None
    swept = set(map(bare_key, live.space.parameters))
    config = live.composer.option_config(live.first_point())
    numbers = ((key, _number(config, key)) for key in growing if key not in swept)
    grown = tuple((key, number) for key, number in numbers if number is not None)
    return replace(rule, config_length=_length_of(config, swept), grown=grown)


def _length_of(config: DictConfig, swept: Container[str]) -> float | None:
    numbers = (_number(config, key) for key in LENGTH_KEYS if key not in swept)
    return next((number for number in numbers if number is not None), None)


def _number(config: DictConfig, key: str) -> float | None:
    try:
        value = OmegaConf.select(config, key)
    except Exception:  # any interpolation may be in a config, and its resolver may raise anything
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < math.inf else None


def _is_typed(config: DictConfig) -> bool:
    # Unresolved, because an override may refer to values that only a job has.
    lines = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    return any(str(line).lstrip("+~").startswith(CHOOSING) for line in lines or ())
