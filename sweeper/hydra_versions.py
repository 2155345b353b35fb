"""What differs between Hydra 1.3 and 1.4, which both work.

Hydra 1.4 wants the calling code to name the targets that a config may call, where 1.3 has a list of
those that it may not. It has no `version_base`, and OmegaConf 2.4 renamed a function.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import hydra.utils
from omegaconf import OmegaConf

_ANY_TARGET = getattr(hydra.utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", None)
_IS_1_3 = _ANY_TARGET is None

COMPOSING: Mapping[str, Any] = {"version_base": "1.3"} if _IS_1_3 else {}
"""Arguments of Hydra's functions that compose a config."""

MAIN: Mapping[str, Any] = COMPOSING if _IS_1_3 else {"execution_whitelist": _ANY_TARGET}
"""Arguments of `hydra.main`."""


def as_main() -> AbstractContextManager[Any]:
    """Return a context in which a config may call what it may call below `hydra.main`."""
    allowed = getattr(hydra.utils, "execution_whitelist", nullcontext)
    context: AbstractContextManager[Any] = allowed(_ANY_TARGET)
    return context


COMPARES_SWEEPERS = not _IS_1_3
"""True if Hydra refuses a job whose config has another sweeper or launcher than the sweep's."""

ANYTHING: Mapping[str, Any] = {} if _IS_1_3 else {"_execution_whitelist_": _ANY_TARGET}
"""Arguments of `instantiate` for what the user typed: whoever types a command may call anything."""


def allowing(node: Any) -> dict[str, Any]:
    """Return the arguments of `instantiate` that allow the targets of a plain node, no others."""
    return {} if _IS_1_3 else {"_execution_whitelist_": [*targets(node)]}


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


def register_resolver(name: str, function: Callable[..., Any], use_cache: bool = False) -> None:
    """Register a resolver of OmegaConf in place of an earlier one with this name."""
    # In OmegaConf 2.3 the shorter name is that of another function.
    register: Callable[..., Any] = OmegaConf.register_resolver
    if "replace" not in signature(register).parameters:
        register = OmegaConf.register_new_resolver
    register(name, function, replace=True, use_cache=use_cache)
