"""The user's own callbacks: the nodes under `callbacks`, each with a name of the user's choice."""

import inspect
from collections.abc import Mapping
from typing import Any

from sweeper.build.option import Option, Trust
from sweeper.errors import ConfigError
from sweeper.training.callback import Callback


def callback_option(name: str, node: Any, trust: Trust) -> Option:
    """Return the option for the node `callbacks.<name>`, with all its arguments checked.

    Raises:
        ConfigError: the target is not a callback, or an argument is missing or wrong.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"callbacks.{name}={node}: a callback is a class under a name of your choice; "
            "type +callbacks.mine._target_=my_package.MyCallback"
        )
    option = Option.of_node(f"callbacks.{name}", str(node.get("_target_")), node, trust=trust)
    if inspect.isclass(option.target) and not issubclass(option.target, Callback):
        raise ConfigError(f"{option} is not a subclass of sweeper.training.callback.Callback")
    option.require_all(key=f"+callbacks.{name}.KEY")
    return option


def build_callback(option: Option) -> Callback:
    """Build the callback.

    Raises:
        ConfigError: the target fails, or returns something other than a callback.
    """
    callback = option()
    if not isinstance(callback, Callback):
        raise ConfigError(
            f"{option} returns a {type(callback).__name__}, which is not a "
            "sweeper.training.callback.Callback"
        )
    return callback
