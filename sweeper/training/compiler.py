"""torch's compiler, which is imported only if something is compiled.

Every optimizer of torch 2 imports `torch._dynamo` when it is created, to mark its methods as code
that must not be compiled. A convolution on the meta device imports sympy, to ask whether a number
is one or a symbol. Each takes about as long as the import of torch, and a run that compiles nothing
has no use for either.
"""

import importlib
import operator
import sys
from collections.abc import Callable
from functools import partial, reduce
from types import ModuleType
from typing import Any, TypeVar

import torch

T = TypeVar("T", bound=Callable[..., Any])
# torch stores under this name, on a function, the marked version of the function.
MARKED = "__dynamo_disable"


class Deferred(ModuleType):
    """Stand-in for a module of torch, which is imported when anything else of it is used."""

    missing: tuple[str, ...] = ("__spec__", "__file__", "__path__")

    def __getattr__(self, name: str) -> Any:
        # Import statements look for these, and are content without them.
        if name in self.missing:
            raise AttributeError(name)
        return getattr(self._imported(), name)

    def _imported(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            package, _, name = self.__name__.rpartition(".")
            del sys.modules[self.__name__]
            vars(sys.modules[package]).pop(name, None)
            self.about_to_import()
        return importlib.import_module(self.__name__)

    def about_to_import(self) -> None:
        """Undo what this module did in place of the other one."""

    def stand_in(self) -> None:
        """Take the place of the module."""
        package, _, name = self.__name__.rpartition(".")
        sys.modules[self.__name__] = self
        setattr(sys.modules[package], name, self)


class DeferredCompiler(Deferred):
    """Stand-in for `torch._dynamo`.

    Outside compiled code `graph_break` does nothing and `disable` changes nothing, so the numbers
    of a run stay the same. After the import, torch marks its functions anew.
    """

    missing = ("__spec__", "__file__")  # it is a package

    def __init__(self) -> None:
        super().__init__("torch._dynamo")
        self._unmarked: list[Any] = []

    def graph_break(self, msg: str = "") -> None:
        """Do nothing: there is no graph."""

    def disable(self, fn: T, recursive: bool = True, **_: Any) -> T:
        """Return the function; torch calls this once for each of its own functions."""
        self._unmarked.append(fn)
        return fn

    def about_to_import(self) -> None:
        """Forget the functions that were not marked."""
        for function in self._unmarked:
            vars(function).pop(MARKED, None)


class DeferredSymbols(Deferred):
    """Stand-in for `torch.fx.experimental.symbolic_shapes`.

    It answers questions on conditions that are plain bools, as torch does; others are for torch.
    """

    questions = (
        *("expect_true", "guard_bool", "guard_or_false", "guard_or_true"),
        *("guard_size_oblivious", "statically_known_true"),
    )

    def __init__(self) -> None:
        super().__init__("torch.fx.experimental.symbolic_shapes")

    def sym_and(self, *conditions: Any) -> Any:
        """Return whether all conditions hold; a symbol if one of them is a symbol."""
        return reduce(operator.and_, conditions)

    def sym_or(self, *conditions: Any) -> Any:
        """Return whether one of the conditions holds; a symbol if one of them is a symbol."""
        return reduce(operator.or_, conditions)

    def sym_eq(self, x: Any, y: Any) -> Any:
        """Return whether two sizes or two shapes are equal; a symbol if one of them has one."""
        if _is_plain(x) and _is_plain(y):
            return list(x) == list(y) if isinstance(x, tuple | list) else x == y
        return self._imported().sym_eq(x, y)

    def __getattr__(self, name: str) -> Any:
        return partial(self._answer, name) if name in self.questions else super().__getattr__(name)

    def _answer(self, question: str, condition: Any, *arguments: Any) -> Any:
        if type(condition) is bool:
            return condition
        return getattr(self._imported(), question)(condition, *arguments)


def _is_plain(size: Any) -> bool:
    """Return whether a size is an int, or a shape has ints only."""
    return type(size) is int or (isinstance(size, tuple | list) and all(map(_is_plain, size)))


def defer_compiler() -> None:
    """Let torch do without its compiler until something is compiled.

    Nothing changes for what has been imported, or if this version of torch has another way to mark
    functions.
    """
    if not hasattr(torch, "_disable_dynamo"):
        return
    for module in (DeferredCompiler(), DeferredSymbols()):
        if module.__name__ not in sys.modules and module.__name__.rpartition(".")[0] in sys.modules:
            module.stand_in()
