"""The sampler and the pruner in `hydra.sweeper`, read and checked before the first trial."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from sweeper.errors import ConfigError
from sweeper.sweep.settings.nodes import (
    Node,
    checked_node,
    is_node,
    parameters_of,
    remedy,
    target_of,
)
from sweeper.sweep.settings.recipes import GRID_NODE, NEEDED_PACKAGES, PrunerRecipe, SamplerRecipe
from sweeper.sweep.settings.setting_rules import refused
from sweeper.text import in_one_line, to_install

log = logging.getLogger(__name__)


def read_sampler(value: Any) -> SamplerRecipe:
    """Return the recipe for a value of `hydra.sweeper.sampler`.

    Raises:
        ConfigError: it is no sampler, an argument is unknown or invalid, or a package is missing.
    """
    value = _checked("sampler", value)
    recipe = SamplerRecipe(value)
    _require_seed(recipe.seed)
    package = NEEDED_PACKAGES.get(getattr(recipe.kind, "__name__", ""))
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"hydra.sweeper.sampler: needs the package {package}; {to_install(package)}"
        )
    if recipe.is_grid:
        _require_no_points(value)
        return SamplerRecipe(GRID_NODE)
    with _deprecations_told("sampler"):
        _require_kind("sampler", recipe.new(), BaseSampler)
    return recipe


def read_pruner(value: Any) -> PrunerRecipe:
    """Return the recipe for a value of `hydra.sweeper.pruner`.

    Raises:
        ConfigError: it is no pruner, or an argument is unknown or invalid.
    """
    recipe = PrunerRecipe(_checked("pruner", value))
    with _deprecations_told("pruner"):
        _require_kind("pruner", recipe.new(), BasePruner)
    return recipe


def _checked(key: str, value: Any) -> Any:
    """Return a node with checked arguments, or another value that may make an object."""
    if is_node(value):
        return checked_node(key, _without_leftovers(key, value))
    if not callable(value):
        kind = BaseSampler if key == "sampler" else BasePruner
        _require_kind(key, value, kind)
    return value


def _without_leftovers(key: str, node: Node) -> Node:
    """Return a node without the arguments that it has from the option of another class.

    `hydra.sweeper.sampler._target_=my_package.Mine` leaves those of the chosen option in place.
    """
    own = parameters_of(target_of(key, node))
    group = ConfigStore.instance().repo.get("hydra", {}).get("sweeper", {}).get(key, {})
    for option in group.values():
        default = OmegaConf.to_container(OmegaConf.create(option.node), resolve=False)
        if isinstance(default, dict) and default["_target_"] != node["_target_"]:
            others = {str(k) for k in default if k not in own and k != "_target_"}
            if default.keys() <= node.keys() and any(not k.startswith("_") for k in others):
                node = {k: v for k, v in node.items() if k not in others}
    return node


def _require_kind(key: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise refused(key, value, f"an Optuna {key}", remedy(key))


def _require_no_points(value: Any) -> None:
    if is_node(value) and value.get("search_space") is not None:
        raise ConfigError(
            "hydra.sweeper.sampler.search_space: a study lists the points of its own space; type "
            "them as sweeps, such as x=1,2, and remove this key"
        )


def _require_seed(seed: Any) -> None:
    is_whole = isinstance(seed, int) and not isinstance(seed, bool)
    if seed is not None and not (is_whole and seed >= 0):
        must, hint = "a whole number of at least 0, or null", "type hydra.sweeper.sampler.seed=0"
        raise refused("sampler.seed", seed, must, hint)


@contextmanager
def _deprecations_told(key: str) -> Iterator[None]:
    """Log each warning about an argument that Optuna will remove, in one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        if issubclass(each.category, FutureWarning):
            log.warning("hydra.sweeper.%s: %s", key, in_one_line(str(each.message)))
