"""The nodes of the samplers and pruners have the arguments of the installed Optuna's classes."""

import inspect
from pkgutil import resolve_name

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from sweeper.sweep.settings.reading import read_sampler

FILLED_IN = {"search_space"}  # by the study, from its own space


def nodes(group: str) -> dict[str, dict]:
    Plugins.instance()
    stored = ConfigStore.instance().repo["hydra"]["sweeper"][group]
    return {
        name.removesuffix(".yaml"): OmegaConf.to_container(config.node)
        for name, config in stored.items()
    }


NODES = [
    (group, name, node) for group in ("sampler", "pruner") for name, node in nodes(group).items()
]
IDS = [name for _, name, _ in NODES]


@pytest.mark.parametrize(("group", "name", "node"), NODES, ids=IDS)
def test_a_node_lists_every_argument_of_its_class_and_no_others(group, name, node) -> None:
    target = resolve_name(node["_target_"])
    listed = {key for key in node if not key.startswith("_")}
    parameters = inspect.signature(target).parameters.values()
    known = {
        p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.kind is not p.VAR_POSITIONAL
    }
    assert listed == known - FILLED_IN


@pytest.mark.parametrize(("group", "name", "node"), NODES, ids=IDS)
def test_a_null_of_a_node_is_the_default_of_its_class(group, name, node) -> None:
    parameters = inspect.signature(resolve_name(node["_target_"])).parameters
    nulls = {key for key, value in node.items() if value is None}
    assert [key for key in nulls if parameters[key].default is not None] == []


@pytest.mark.parametrize("multivariate", [True, False])
def test_grouping_follows_multivariate(multivariate) -> None:
    node = OmegaConf.create(nodes("sampler")["tpe"] | {"multivariate": multivariate, "seed": None})
    sampler = read_sampler(OmegaConf.to_container(node, resolve=True)).sampler()
    assert (sampler._multivariate, sampler._group) == (multivariate, multivariate)
