"""The user's own callbacks: classes by names of their choice, under `callbacks`."""

import inspect
from collections.abc import Mapping
from typing import Any

from sweeper.errors import ConfigError
from sweeper.build.option import Option
from sweeper.training.callback import Callback


def callback_option(name: str, node: Any) -> Option:
    """Return the callback of that name, known to be complete but not yet built.

    Raises:
        ConfigError: it is no callback, or an argument is missing or wrong.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"callbacks.{name}={node}: a callback is a class by a name of your choice; "
            "type +callbacks.mine._target_=my_package.MyCallback"
        )
    option = Option.of_node(f"callbacks.{name}", str(node.get("_target_")), node)
    if inspect.isclass(option.target) and not issubclass(option.target, Callback):
        raise ConfigError(f"{option} is no subclass of sweeper.training.callback.Callback")
    try:
        inspect.signature(option.target).bind(**option.arguments)
    except TypeError as error:
        raise ConfigError(f"{option}: {error}; type +callbacks.{name}.KEY=VALUE") from error
    return option


def built(option: Option) -> Callback:
    """Build a callback; ConfigError when something else comes out."""
    callback = option()
    if not isinstance(callback, Callback):
        raise ConfigError(
            f"{option} gives a {type(callback).__name__}, which is no "
            "sweeper.training.callback.Callback"
        )
    return callback
