"""The names of the options that a config was composed of."""

from collections.abc import Mapping

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

RECIPES = "experiment"
"""The group whose options choose options and values of other groups, and have no node."""

MAPPINGS = ("callbacks", "tags")
"""Keys in the root of the config that hold a mapping and are not groups."""


def named_choices(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the option of each group, or `inline` for a group written out in the config.

    The option of `init@init.conv` is that of `init.conv`. The recipe, if any, is named too.
    """
    keys = [str(key) for key in cfg if key not in MAPPINGS]
    groups = [key for key in keys if _is_group(cfg, key)]
    named = {g: str(o) for g, o in choices.items() if g in groups}
    packages = {
        package: str(option)
        for group, at, package in (key.partition("@") for key in choices)
        if at and group in groups and (option := choices[f"{group}@{package}"]) is not None
    }
    recipe = choices.get(RECIPES)
    recipes = {} if recipe in (None, "none") else {RECIPES: str(recipe)}
    return dict.fromkeys(groups, "inline") | named | packages | recipes


def _is_group(cfg: DictConfig, key: str) -> bool:
    try:
        return isinstance(cfg[key], DictConfig)
    except OmegaConfBaseException:
        return False  # an interpolation fails, which the check of the values reports
