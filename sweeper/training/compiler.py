"""torch's compiler, which is imported only if something is compiled.

Every optimizer of torch 2 imports `torch._dynamo` when it is created, to mark its methods as code
that must not be compiled. The import takes as long as that of torch itself, once a process, and a
run that compiles nothing has no use for it.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import torch

T = TypeVar("T", bound=Callable[..., Any])
NAME = "torch._dynamo"
# torch stores under this name, on a function, the marked version of the function.
MARKED = "__dynamo_disable"


class DeferredCompiler(ModuleType):
    """Stand-in for `torch._dynamo`, which is imported when anything else of it is used.

    Outside compiled code `graph_break` does nothing and `disable` changes nothing, so the numbers
    of a run stay the same. After the import, torch marks its functions anew.
    """

    def __init__(self) -> None:
        super().__init__(NAME)
        self._unmarked: list[Any] = []

    def graph_break(self, msg: str = "") -> None:
        """Do nothing: there is no graph."""

    def disable(self, fn: T, recursive: bool = True, **_: Any) -> T:
        """Return the function; torch calls this once for each of its own functions."""
        self._unmarked.append(fn)
        return fn

    def __getattr__(self, name: str) -> Any:
        # Import statements look for these, and are content without them.
        if name in ("__spec__", "__file__"):
            raise AttributeError(name)
        return getattr(self._imported(), name)

    def _imported(self) -> ModuleType:
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
            del torch._dynamo
            for function in self._unmarked:
                vars(function).pop(MARKED, None)
        return importlib.import_module(NAME)


def defer_compiler() -> None:
    """Let torch do without its compiler until something is compiled.

    Nothing changes if the compiler has been imported, or if this version of torch has another way
    to mark functions.
    """
    if NAME in sys.modules or not hasattr(torch, "_disable_dynamo"):
        return
    stand_in: Any = DeferredCompiler()
    sys.modules[NAME] = torch._dynamo = stand_in
