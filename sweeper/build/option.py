"""The chosen option of a config group: a target and its arguments, checked before use."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from sweeper.errors import ConfigError, SweeperError
from sweeper.schema import checked
from sweeper.text import in_one_line

Keys = TypeVar("Keys")

SEARCH = "search"
"""The key that holds the search space of an option; it is not an argument of the target."""


def plain_node(cfg: DictConfig, group: str) -> dict[str, Any]:
    """Return the resolved node of a group as plain Python values, without its search space.

    Raises:
        ConfigError: a value is missing, an interpolation fails, or the node is no mapping.
    """
    try:
        node = OmegaConf.to_container(cfg[group], resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ConfigError(f"{key} has no value: type {key}=VALUE") from error
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, SweeperError):
            raise error.__cause__ from error
        raise ConfigError(f"{group}: {str(error).splitlines()[0]}") from error
    if not isinstance(node, dict):
        raise ConfigError(f"{group}={node}: there is no such option; see --help for the groups")
    return {str(key): value for key, value in node.items() if key != SEARCH}


def pop_keys(group: str, keys: type[Keys], node: dict[str, Any]) -> Keys:
    """Remove the keys that are not for the target from a node; return them as the dataclass `keys`.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """
    names = inspect.signature(keys).parameters.keys() & node.keys()
    return keys(**checked(group, keys, {name: node.pop(name) for name in names}))


Trust = Callable[[str], None]
"""Raises an error for a target that may not be called."""


def trust_all(target: str) -> None:
    """Trust every target: those of a config that the user wrote."""


class Option:
    """A target with its arguments from the config, checked against the target's signature.

    Calling the option calls the target, with the arguments that only the run can provide added.
    Messages name the option by `group` and `name`.

    Raises:
        ConfigError: an argument does not suit the signature.
    """

    def __init__(
        self,
        group: str,
        name: str,
        target: Callable[..., Any],
        arguments: Mapping[str, Any],
        ranges: Mapping[str, Any] | None = None,
    ) -> None:
        self.group = group
        self.name = name
        self.target = target
        self.arguments = checked(group, target, arguments, ranges)

    @classmethod
    def of_node(
        cls,
        group: str,
        name: str,
        node: Mapping[str, Any],
        ranges: Mapping[str, Any] | None = None,
        trust: Trust = trust_all,
    ) -> "Option":
        """Return the option for a config node with a `_target_` and arguments.

        Raises:
            ConfigError: the target is not found or not trusted, or an argument does not suit its
                signature.
        """
        if not node.get("_target_"):
            raise ConfigError(
                f"{group}={name} has no _target_; set it to the class or function to call"
            )
        partial = instantiated(group, name, {**node, "_partial_": True}, trust)
        return cls(group, name, partial.func, partial.keywords, ranges)

    def __call__(self, **run_arguments: Any) -> Any:
        """Call the target with the config's arguments and those of the run; return its result.

        Raises:
            ConfigError: the target fails with these arguments.
        """
        try:
            return self.target(**self.arguments, **run_arguments)
        except SweeperError:
            raise
        except (TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError) as error:
            reason = in_one_line(error)
            raise ConfigError(f"{self}: {reason}") from error

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.group}={self.name}" + (f" ({values})" if values else "")

    def partial(self) -> Callable[..., Any]:
        """Return the target with the config's arguments filled in."""
        return functools.partial(self.target, **self.arguments)

    def accepts(self, name: str) -> bool:
        """Return whether the target has a parameter of this name."""
        return name in inspect.signature(self.target).parameters


def option_or_none(
    group: str,
    name: str,
    node: Mapping[str, Any],
    ranges: Mapping[str, Any] | None = None,
    trust: Trust = trust_all,
) -> Option | None:
    """Return the option for a config node, or None for a node without target: `scheduler=none`.

    Raises:
        ConfigError: the target is not found, or an argument does not suit its signature.
    """
    if node.get("_target_") is None:
        return None
    return Option.of_node(group, name, node, ranges, trust)


def instantiated(group: str, name: str, node: dict[str, Any], trust: Trust = trust_all) -> Any:
    """Call every `_target_` in the node; return the node with the results in their places.

    Nothing else in sweeper calls Hydra's `instantiate`, and nothing reaches it without `trust`.

    Raises:
        ConfigError: a target is not found or not trusted, or fails with its arguments.
    """
    for target in targets(node):
        trust(target)
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        reason = in_one_line(error.__cause__ or error)
        raise ConfigError(f"{group}={name}: {reason}") from error


def targets(node: Any) -> Iterator[str]:
    """Yield the path of every class or function that a plain node calls, at any depth."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_" and value is not None:
                yield str(value)
            else:
                yield from targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets(value)
