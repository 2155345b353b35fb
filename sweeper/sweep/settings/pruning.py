"""The pruner of a study: that of the settings, unless the study prunes no trial."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner

from sweeper.errors import ConfigError
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.promotion_pruner import PromotionPruner
from sweeper.sweep.settings.nodes import is_node
from sweeper.sweep.settings.recipes import PrunerRecipe

log = logging.getLogger(__name__)

NO_PRUNER = PrunerRecipe(NopPruner)
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
    recipe: PrunerRecipe, directions: Sequence[str], resumable: bool | None, n_finalists: int = 0
) -> Promotion | None:
    """Return the rule of promotion of a study with this pruner, or None if it pauses no trial.

    At least `n_finalists` trials are trained to their end.
    """
    pruner = recipe.pruner()
    if not isinstance(pruner, PromotionPruner):
        return None
    rule = pruner.rule(directions[0] == "maximize", resumable)
    return replace(rule, finish=max(rule.finish, n_finalists))


def _is_typed(config: DictConfig) -> bool:
    # Unresolved, because an override may refer to values that only a job has.
    lines = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    return any(str(line).lstrip("+~").startswith(CHOOSING) for line in lines or ())
