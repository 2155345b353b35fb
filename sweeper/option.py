"""One chosen option of a config group: a target and plain arguments, checked before use."""

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
    """Take out of a node what is not for its target; `keys` is a dataclass of such values."""
    names = inspect.signature(keys).parameters.keys() & node.keys()
    return keys(**checked(group, keys, {name: node.pop(name) for name in names}))


class Option:
    """A callable made of a config node; calling it adds what only the run knows.

    Raises:
        ConfigError: the target is not found, or an argument does not suit its signature.
    """

    def __init__(
        self,
        group: str,
        name: str,
        node: Mapping[str, Any],
        ranges: Mapping[str, Any] | None = None,
    ) -> None:
        self.group = group
        self.name = name
        if not node.get("_target_"):
            raise ConfigError(f"{group}={name} has no _target_: the class or function to call")
        try:
            target = instantiate(dict(node), _convert_="all", _partial_=True)
        except InstantiationException as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise ConfigError(f"{group}={name}: {reason}") from error
        self.target: Callable[..., Any] = target.func
        self.arguments = checked(group, self.target, target.keywords, ranges)

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
            reason = " ".join(str(error).split())
            raise ConfigError(f"{self}: {reason}") from error

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.group}={self.name}" + (f" ({values})" if values else "")

    def partial(self) -> Callable[..., Any]:
        """Return the target with its arguments filled in."""
        return functools.partial(self.target, **self.arguments)

    def accepts(self, name: str) -> bool:
        """Whether the target has a parameter of this name."""
        return name in inspect.signature(self.target).parameters


def optional(
    group: str, name: str, node: Mapping[str, Any], ranges: Mapping[str, Any] | None = None
) -> Option | None:
    """Return the option, or None for one that stands for doing nothing."""
    return None if node.get("_target_") is None else Option(group, name, node, ranges)
