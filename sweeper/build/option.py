"""One chosen option of a config group: a target and its arguments, checked before use."""

import functools
import inspect
from collections.abc import Callable, Mapping
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
"""The key under which an option keeps its search space; no target sees it."""


def plain(cfg: DictConfig, group: str) -> dict[str, Any]:
    """Return a group's node as plain Python values, resolved, without its search space.

    Raises:
        ConfigError: a value is missing, or refers to something that is not there.
    """
    try:
        node = OmegaConf.to_container(cfg[group], resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ConfigError(f"{key} has no value of its own: type {key}=VALUE") from error
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, SweeperError):
            raise error.__cause__ from error
        raise ConfigError(f"{group}: {str(error).splitlines()[0]}") from error
    if not isinstance(node, dict):
        raise ConfigError(f"{group}={node}: there is no such option; see --help for the groups")
    return {str(key): value for key, value in node.items() if key != SEARCH}


def taken(group: str, keys: type[Keys], node: dict[str, Any]) -> Keys:
    """Remove from a node what is not for its target, and return it as the dataclass `keys`."""
    names = inspect.signature(keys).parameters.keys() & node.keys()
    return keys(**checked(group, keys, {name: node.pop(name) for name in names}))


class Option:
    """A target and the arguments that the config gives it, checked against its signature.

    Calling it adds what only the run knows. `group` and `name` say in messages where it stands.

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
    ) -> "Option":
        """Return the option that a config node describes by `_target_` and arguments.

        Raises:
            ConfigError: the target is not found, or an argument does not suit its signature.
        """
        if not node.get("_target_"):
            raise ConfigError(f"{group}={name} has no _target_: the class or function to call")
        partial = instantiated(group, name, {**node, "_partial_": True})
        return cls(group, name, partial.func, partial.keywords, ranges)

    def __call__(self, **given: Any) -> Any:
        """Return what the target makes of its arguments and of `given`.

        Raises:
            ConfigError: the target refuses them.
        """
        try:
            return self.target(**self.arguments, **given)
        except SweeperError:
            raise
        except (TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError) as error:
            reason = in_one_line(error)
            raise ConfigError(f"{self}: {reason}") from error

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.group}={self.name}" + (f" ({values})" if values else "")

    def partial(self) -> Callable[..., Any]:
        """Return the target with its arguments filled in."""
        return functools.partial(self.target, **self.arguments)

    def accepts(self, name: str) -> bool:
        """Return whether the target has a parameter of this name."""
        return name in inspect.signature(self.target).parameters


def optional(
    group: str, name: str, node: Mapping[str, Any], ranges: Mapping[str, Any] | None = None
) -> Option | None:
    """Return the option, or None for one without a target, such as `scheduler=none`."""
    return None if node.get("_target_") is None else Option.of_node(group, name, node, ranges)


def instantiated(group: str, name: str, node: dict[str, Any]) -> Any:
    """Return the node with every `_target_` in it called.

    Nothing else in sweeper calls Hydra's `instantiate`.

    Raises:
        ConfigError: a target is not found, or refuses its arguments.
    """
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        reason = in_one_line(error.__cause__ or error)
        raise ConfigError(f"{group}={name}: {reason}") from error
