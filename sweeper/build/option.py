"""The chosen option of a config group: a target and its arguments, checked before use."""

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from sweeper.errors import ConfigError, SweeperError
from sweeper.hydra_versions import allowing, targets
from sweeper.schema import checked, parsed
from sweeper.text import in_one_line

Keys = TypeVar("Keys")

SEARCH = "search"
"""The key that holds the search space of an option; it is not an argument of the target."""


PlainOrConfig = DictConfig | dict[str, Any]
"""A config, or its values as `all_plain` returns them."""


def all_plain(cfg: PlainOrConfig) -> PlainOrConfig:
    """Return all values of a config, resolved, as plain Python values.

    Values that are plain already are returned as they are. If a value is missing or cannot be
    resolved, the config itself is returned. `plain_value` then raises for the key that is to blame.
    """
    if isinstance(cfg, dict):
        return cfg
    try:
        content: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except Exception:  # a resolver may raise anything
        return cfg
    return {str(key): value for key, value in content.items()}


def plain_node(cfg: PlainOrConfig, group: str) -> dict[str, Any]:
    """Return the resolved node of a group as plain Python values, without its search space.

    Raises:
        ConfigError: a value is missing, an interpolation fails, or the node is no mapping.
    """
    node = plain_mapping(cfg, group)
    node.pop(SEARCH, None)
    return node


def plain_mapping(cfg: PlainOrConfig, group: str) -> dict[str, Any]:
    """Return the resolved mapping at a key in the root of a config, as plain Python values.

    Raises:
        ConfigError: a value is missing, an interpolation fails, or the node is no mapping.
    """
    if group not in cfg:
        raise ConfigError(f"{group} is missing: type {group}=NAME instead of removing it")
    node = plain_value(cfg, group)
    if not isinstance(node, dict):
        shown = "null" if node is None else node
        raise ConfigError(f"{group}={shown}: there is no such option; see --help for the groups")
    return {str(key): value for key, value in node.items()}


def plain_value(cfg: PlainOrConfig, key: str) -> Any:
    """Return the resolved value of a key in the root of a config, as plain Python values.

    Raises:
        ConfigError: a value is missing, or an interpolation fails.
    """
    if isinstance(cfg, dict):
        return copy.deepcopy(cfg[key])
    try:
        value = cfg[key]
        if not OmegaConf.is_config(value):
            return value
        return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        missing = error.full_key or key
        raise ConfigError(f"{missing} has no value: type {missing}=VALUE") from error
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, SweeperError):
            raise error.__cause__ from error
        where = getattr(error, "full_key", None) or key
        raise ConfigError(f"{where}: {in_one_line(str(error).splitlines()[0])}") from error
    except RecursionError as error:
        raise ConfigError(f"{key}: a value refers to itself; type a plain value") from error


def pop_keys(group: str, keys: type[Keys], node: dict[str, Any]) -> Keys:
    """Remove the keys that are not for the target from a node; return them as the dataclass `keys`.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """
    names = inspect.signature(keys).parameters.keys() & node.keys()
    return parsed(group, keys, {name: node.pop(name) for name in names})


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
        *,
        trust: Trust,
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
        partial = _partial(group, name, node, trust)
        try:
            inspect.signature(partial.func)
        except (TypeError, ValueError) as error:  # of a few classes that are written in C
            raise ConfigError(
                f"{group}={name}: {node['_target_']} does not say which arguments it takes; "
                "name a class or function that is written in Python"
            ) from error
        return cls(group, name, partial.func, partial.keywords, ranges)

    def __call__(self, **run_arguments: Any) -> Any:
        """Call the target with the config's arguments and those of the run; return its result.

        Raises:
            ConfigError: the target fails with these arguments, or the config has one of the run's.
        """
        for name in (name for name in run_arguments if name in self.arguments):
            key = f"{self.group}.{name}"
            raise ConfigError(
                f"{key}: the run itself sets this argument of {self.group}={self.name}; leave it "
                f"out, or type '~{key}' if a file of yours has it"
            )
        try:
            return self.target(**self.arguments, **run_arguments)
        except SweeperError:
            raise
        except Exception as error:  # a target may be any class or function
            raise ConfigError(f"{self}: {failure_reason(error)}") from error

    def __str__(self) -> str:
        values = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.group}={self.name}" + (f" ({values})" if values else "")

    def require_all(self, *of_run: object, key: str) -> None:
        """Check that the target gets every argument that it needs; the run adds those of `of_run`.

        `key` is the one to type for an argument that is missing.

        Raises:
            ConfigError: an argument is missing.
        """
        try:
            inspect.signature(self.target).bind(*of_run, **self.arguments)
        except TypeError as error:
            raise ConfigError(f"{self}: {error}; type {key}=VALUE") from error

    def partial(self) -> Callable[..., Any]:
        """Return the target with the config's arguments filled in."""
        return functools.partial(self.target, **self.arguments)

    def accepts(self, name: str) -> bool:
        """Return whether the target has a parameter of this name."""
        return name in inspect.signature(self.target).parameters


def failure_reason(error: Exception) -> str:
    """Return why a target failed, in one line; some types of errors say little without their name.

    >>> failure_reason(KeyError("width"))
    "KeyError: 'width'"
    """
    reason = in_one_line(error)
    tells = isinstance(error, TypeError | ValueError | ArithmeticError | RuntimeError)
    return reason if reason and tells else f"{type(error).__name__}: {reason}"


def require_kind(value: object, kind: type, option: Option) -> None:
    """Check that what an option's target returned is of a class.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"{option.group}={option.name}: its _target_ returns a {type(value).__name__}, which "
            f"is not a {kind.__module__}.{kind.__qualname__}"
        )


def option_or_none(
    group: str,
    name: str,
    node: Mapping[str, Any],
    ranges: Mapping[str, Any] | None = None,
    *,
    trust: Trust,
) -> Option | None:
    """Return the option for a config node, or None for a node without target: `scheduler=none`.

    Raises:
        ConfigError: the target is not found, or an argument does not suit its signature.
    """
    if node.get("_target_") is None:
        return None
    return Option.of_node(group, name, node, ranges, trust=trust)


def _partial(
    group: str, name: str, node: Mapping[str, Any], trust: Trust
) -> "functools.partial[Any]":
    """Return the target of a node with its arguments filled in, as Hydra's `_partial_` does.

    Hydra needs 5 ms for that. A class of torch or of sweeper that it has allowed before is filled
    in here: Hydra judges such a class by its name, whatever its plain arguments are.
    """
    target = str(node["_target_"])
    known = _known(target)
    special = {key for key in node if key.startswith("_") and key.endswith("_")}
    if known is not None and special == {"_target_"} and [*targets(node)] == [target]:
        trust(target)
        return functools.partial(known, **{k: v for k, v in node.items() if k != "_target_"})
    made: functools.partial[Any] = instantiated(group, name, {**node, "_partial_": True}, trust)
    function: Any = made.func
    is_class = isinstance(function, type) and not issubclass(function, type)
    if is_class and target.startswith(("torch.", "sweeper.")):
        _ALLOWED[target] = function
    return made


_ALLOWED: dict[str, type] = {}
"""The classes of torch and of sweeper that Hydra has found and allowed, by their path."""


def _known(target: str) -> type | None:
    """Return the class at a path if Hydra has allowed it, and it was not replaced since."""
    module, _, name = target.rpartition(".")
    known = _ALLOWED.get(target)
    return known if known is getattr(sys.modules.get(module), name, None) else None


def instantiated(group: str, name: str, node: dict[str, Any], trust: Trust) -> Any:
    """Call every `_target_` in the node; return the node with the results in their places.

    Only `sweeper.sweep.settings.nodes` calls Hydra's `instantiate` too, for what stands in
    `hydra.sweeper` of the command's own config. What comes out of a checkpoint is called here
    alone, and not without `trust`.

    Raises:
        ConfigError: a target is not found or not trusted, or fails with its arguments.
    """
    for target in targets(node):
        trust(target)
    try:
        return instantiate(node, _convert_="all", **allowing(node))
    except InstantiationException as error:
        reason = in_one_line(error.__cause__ or error)
        raise ConfigError(f"{group}={name}: {reason}") from error
    except Exception as error:  # such as a key of Hydra's own, _args_, with a wrong value
        raise ConfigError(f"{group}={name}: {failure_reason(error)}") from error
