"""The script that defines a task, in a worker process, which does not run the script.

A task goes to the process with all that it uses. A config may name more of what its script defines,
such as `_target_: __main__.Net`.
"""

import inspect
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from sweeper.errors import ConfigError
from sweeper.text import in_one_line

MAIN = "__main__"

MAX_BYTES = 2**20
"""The size of a class or function. A larger one has data of the script with it."""

Task = Callable[..., Any]


def pickled_task(task: Task) -> bytes:
    """Return a task for a worker process, with all that it uses.

    Raises:
        ConfigError: it uses something that cannot be sent to another process.
    """
    try:
        return bytes(cloudpickle.dumps(task))
    except Exception as error:  # what it uses may be of any class
        own = inspect.unwrap(task)
        name = getattr(own, "__qualname__", type(own).__qualname__)
        raise ConfigError(
            f"{own.__module__}.{name}: this task uses what cannot be sent to another process "
            f"({type(error).__name__}: {in_one_line(error)}); create it in the task, or type "
            "hydra/launcher=basic"
        ) from error


def definitions(task: Task) -> dict[str, bytes]:
    """Return the classes and functions that the script of a task defines, pickled, by their names.

    There are none if the task is of another module, which a worker process imports. Those that
    cannot be pickled are left out.
    """
    found: dict[str, bytes] = {}
    for name, value in _variables(task).items():
        if isinstance(value, type | FunctionType) and value.__module__ == MAIN:
            with suppress(Exception):  # what it uses may be of any class
                cloudpickle.dump(value, file := _LimitedFile())
                found[name] = file.getvalue()
    return found


class _LimitedFile(io.BytesIO):
    def write(self, content: Any) -> int:
        if self.tell() + memoryview(content).nbytes > MAX_BYTES:
            raise ValueError
        return super().write(content)


def enter_script(task: Task, defined: Mapping[str, bytes]) -> None:
    """Make the script that defines the task the main module, as it is in the parent process.

    The task may then pickle what its script defines, and start processes that use it. `defined` has
    the `definitions` of the task; each is unpickled when something asks for it.
    """
    if not (variables := _variables(task)):
        return
    script = ModuleType(MAIN)
    vars(script).update(variables, __getattr__=partial(_defined, script, defined))
    package, file = variables.get("__package__"), variables.get("__file__")
    if package and file:  # python -m PACKAGE.MODULE
        script.__spec__ = ModuleSpec(f"{package}.{Path(file).stem}", None)
    sys.modules[MAIN] = sys.modules["__mp_main__"] = script  # `multiprocessing` names it so


def _variables(task: Task) -> Mapping[str, Any]:
    """Return the variables of the script that defines a task; none if a module defines it."""
    variables: Mapping[str, Any] = getattr(inspect.unwrap(task), "__globals__", {})
    return variables if variables.get("__name__") == MAIN else {}


def _defined(script: ModuleType, defined: Mapping[str, bytes], name: str) -> Any:
    """Return what the script defines by this name, for which its task itself has no use."""
    if name not in defined:
        raise AttributeError(f"module {MAIN!r} has no attribute {name!r}")
    setattr(script, name, pickle.loads(defined[name]))
    return vars(script)[name]
