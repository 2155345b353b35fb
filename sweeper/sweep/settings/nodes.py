"""Plain nodes: a `_target_` with its arguments, as it stands in a config.

Samplers, pruners, observers and storages can be written so. Hydra leaves the nodes of
`hydra.sweeper` as they are, since what some of them describe cannot be pickled for a worker.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any, TypeGuard, get_type_hints

from hydra.utils import instantiate
from omegaconf import OmegaConf

from sweeper.errors import ConfigError
from sweeper.hydra_versions import ANYTHING
from sweeper.schema import checked
from sweeper.text import in_one_line

Node = Mapping[str, Any]
OPTION_KEYS = ("sampler", "pruner")
"""The keys of `hydra.sweeper` that are config groups."""


def is_node(value: object) -> TypeGuard[Node]:
    """Return whether a value is a mapping with a `_target_`."""
    return isinstance(value, Mapping) and "_target_" in value


def built(key: str, value: Any) -> Any:
    """Return a value of `hydra.sweeper.<key>` with an object in place of each node.

    Raises:
        ConfigError: a target is not found, or fails.
    """
    if isinstance(value, list):
        return [built(key, each) for each in value]
    return instantiated(key, value) if is_node(value) else value


def target_of(key: str, node: Node) -> Callable[..., Any]:
    """Return the class or function that a node calls.

    Raises:
        ConfigError: it is not found.
    """
    path = node["_target_"]
    try:
        target: Callable[..., Any] = resolve_name(path)
    except Exception as error:  # the user's module may raise anything
        reason = f"{type(error).__name__}: {in_one_line(error)}"
        raise ConfigError(
            f"hydra.sweeper.{key}: its _target_ {path} is not found ({reason}); {remedy(key)}"
        ) from error
    return target


def remedy(key: str) -> str:
    """Return what to type instead of a node of `hydra.sweeper.<key>` that cannot work."""
    group = key.partition(".")[0]
    if group in OPTION_KEYS:
        return f"choose one with hydra/sweeper/{group}=NAME"
    return "set it to the import path of a class or function"


def failure(key: str, what: str, target: Callable[..., Any], error: Exception) -> ConfigError:
    """Return the error for an object of `hydra.sweeper.<key>` that cannot be made or used.

    It says which arguments to type if the message of the target names some.
    """
    reason = in_one_line(error)
    if not isinstance(error, TypeError | ValueError | ArithmeticError | RuntimeError):
        reason = f"{type(error).__name__}: {reason}"
    names = [n for n in parameters_of(target) if re.search(rf"\b{n}\b", reason, re.IGNORECASE)]
    typed = " or ".join(f"hydra.sweeper.{key}.{name}=VALUE" for name in names)
    hint = f"type {typed}" if typed else remedy(key)
    return ConfigError(f"hydra.sweeper.{key}: {what}: {reason.removesuffix('.')}; {hint}")


def checked_node(key: str, node: Node) -> Node:
    """Return a node whose arguments suit the signature of its target.

    A null stands for the target's default, if the default is something else.

    Raises:
        ConfigError: the target is not found or has no such argument, or a plain value has the wrong
            type.
    """
    target = target_of(key, node)
    arguments = {name: v for name, v in node.items() if not _is_of_hydra(name)}
    for name, value in arguments.items():
        if is_node(value):
            arguments[name] = checked_node(f"{key}.{name}", value)
    parameters = parameters_of(target)
    given = {
        name: value
        for name, value in arguments.items()
        if value is not None or name not in parameters or _takes_none(parameters[name])
    }
    types = {name: _annotation(target, name, given.get(name)) for name in parameters}
    result = given
    if parameters:
        result = checked(f"hydra.sweeper.{key}", target, given, types=types)
    return {name: v for name, v in node.items() if _is_of_hydra(name)} | result


def instantiated(key: str, node: Node, **arguments: Any) -> Any:
    """Return what the target of a node returns for its arguments and these ones.

    Raises:
        ConfigError: a target is not found, or fails with its arguments.
    """
    node = {name: value for name, value in node.items() if name != "_partial_"} | arguments
    try:
        config = OmegaConf.create(node, flags={"allow_objects": True})
        return instantiate(config, _convert_="all", **ANYTHING)
    except Exception as error:  # targets check their arguments with errors of several types
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise failure(key, "cannot be created", target_of(key, node), cause) from error


def parameters_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function by name."""
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):  # of a few classes that are written in C
        return {}


def _is_of_hydra(name: str) -> bool:
    return name.startswith("_") and name.endswith("_")


def _takes_none(parameter: inspect.Parameter) -> bool:
    return parameter.default in (None, parameter.empty)


def _annotation(target: Callable[..., Any], name: str, value: Any) -> Any:
    """Return the type that a plain value must have; some can be evaluated by a type checker only.

    An object, or a node that describes one, is left to the target.
    """
    if not isinstance(value, str | int | float | None):
        return Any
    function = target.__init__ if inspect.isclass(target) else target
    annotations = getattr(function, "__annotations__", {})
    alone = SimpleNamespace(__annotations__={name: annotations.get(name, Any)})
    try:
        return get_type_hints(alone, getattr(function, "__globals__", {}))[name]
    except Exception:  # it names a class that is imported for a type checker
        return Any
