"""The option of the group `init`, with those for single types of layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sweeper.build.option import (
    SEARCH,
    Option,
    Trust,
    failure_reason,
    option_or_none,
    pop_keys,
)
from sweeper.errors import ConfigError, SweeperError
from sweeper.models.init import LAYER_TYPES, Fill, LayerType, initialise
from sweeper.models.weights import copy_matching_weights
from sweeper.training.pretrained import read_weights


@dataclass(frozen=True)
class InitKeys:
    """The keys of an init option that are not arguments of its target."""

    weights: str | None = None


class InitOption:
    """The initial weights of a network: functions of `torch.nn.init`, then a file of weights.

    `init@init.conv=NAME` chooses the option for a type of layers; its node is `init.conv`. A
    `resumed` run takes its weights from a checkpoint, so the file of `init.weights` is not read.

    Raises:
        ConfigError: an option, key or value cannot work.
    """

    def __init__(
        self, choices: Mapping[str, str], node: dict[str, Any], resumed: bool, trust: Trust
    ) -> None:
        nodes = {kind: node.pop(kind, None) for kind in LAYER_TYPES}
        path = pop_keys("init", InitKeys, node).weights
        self._weights = None if path is None or resumed else (read_weights(path), path)
        self._option = option_or_none("init", choices["init"], node, trust=trust)
        self._by_type = {
            kind: _of_type(kind, choices.get(f"init.{kind}", "inline"), node, trust)
            for kind, node in nodes.items()
            if node is not None  # init.conv=null is like no option
        }

    def apply(self, model: nn.Module) -> None:
        """Set the initial weights of a network.

        Raises:
            ConfigError: a function cannot fill the weights, or the file does not fit the network.
        """
        if self._option is not None or self._by_type:
            by_type = {kind: _fill(option) for kind, option in self._by_type.items()}
            initialise(model, _fill(self._option), by_type)
        if self._weights is not None:
            copy_matching_weights(model, *self._weights)


def _of_type(kind: LayerType, name: str, node: object, trust: Trust) -> Option | None:
    group = f"init.{kind}"
    if not isinstance(node, dict):
        raise ConfigError(f"{group}={node}: the option of a group; type init@{group}={node}")
    node = {key: value for key, value in node.items() if key != SEARCH}
    if pop_keys(group, InitKeys, node).weights is not None:
        raise ConfigError(
            f"{group}.weights: a file has the weights of all layers; type init.weights=FILE"
        )
    return option_or_none(group, name, node, trust=trust)


def _fill(option: Option | None) -> Fill:
    if option is None:
        return None
    fill = option.partial()

    def checked_fill(tensor: Any) -> None:
        try:
            fill(tensor)
        except SweeperError:
            raise
        except Exception as error:  # the target may be any function
            hint = "; type constant or normal instead" if option.group == "init.norm" else ""
            raise ConfigError(
                f"{option.group}={option.name}: {failure_reason(error)}{hint}"
            ) from error

    return checked_fill
