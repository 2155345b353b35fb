"""The sweep that a function of another program stands for, as Hydra writes it.

The function and its arguments are read as Python reads them: `tune.choice([3, 5])`.
"""

import ast
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sweeper.cli.overrides import override_text
from sweeper.cli.vocabulary import plain

INTERVALS = (
    *("", "interval", "uniform", "quniform", "float", "real", "linear", "linspace", "float_range"),
    *("between", "discrete_uniform"),
)
INTEGERS = ("int", "integer", "int_range", "qrandint", "uniformint")
WITHOUT_END = ("randint", "lograndint", "range")
"""The functions that exclude their end, in NumPy, in Ray Tune and in Python."""
LOGS = (
    *("log", "loguniform", "log_uniform", "qloguniform", "logspace", "geom", "logrange"),
    *("lograndint", "qlograndint"),
)
EXPONENTS = {"loguniform": math.e, "logspace": 10}
"""The functions that may be given exponents, in hyperopt and in NumPy, with their bases."""
CHOICES = (
    *("choice", "categorical", "grid", "grid_search", "list", "select", "options", "values"),
    *("oneof", "one_of", "choices"),
)
SWEEPS = {*INTERVALS, *INTEGERS, *WITHOUT_END, *LOGS, *CHOICES}
STEPPED = re.compile(r"q\w+|\w*discrete_uniform|suggest_int|range")
"""The functions whose third number is a step."""
LOW = ("low", "lower", "min", "min_value", "start")
HIGH = ("high", "upper", "max", "max_value", "stop", "end")
STEP = ("step", "q")
LISTS = ("choices", "categories", "options", "values")
"""What other programs call the arguments of a sweep."""


@dataclass(frozen=True)
class Call:
    """A function with its arguments, as they were typed: `tune.choice([3, 5])`, `choice[3,5]`.

    Args:
        function: The function without its module; empty for brackets alone.
        given: The arguments without a name.
        named: The arguments with a name.
    """

    function: str
    given: Sequence[str]
    named: Mapping[str, str]

    @staticmethod
    def read(text: str) -> "Call | None":
        """Return the function that a text calls, or None for another text."""
        text = text.strip()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what Python finds strange in the text
                node = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            return None
        named: list[ast.keyword] = []
        match node:
            case ast.List(elts=given) | ast.Tuple(elts=given):
                function = ""
            case ast.Subscript(value=value, slice=ast.Tuple(elts=given)):
                function = ast.unparse(value)
            case ast.Subscript(value=value, slice=inside):
                function, given = ast.unparse(value), [inside]
            case ast.Call(func=value, args=given, keywords=named):
                function = ast.unparse(value)
            case _:
                return None
        texts = [ast.get_source_segment(text, each) or "" for each in given]
        pairs = {k.arg: ast.get_source_segment(text, k.value) or "" for k in named if k.arg}
        return Call(function.rpartition(".")[2], texts, pairs)

    @property
    def name(self) -> str:
        """The function, as the lists above name it."""
        return plain(self.function.removeprefix("suggest_"))

    @property
    def sweep(self) -> "Sweep | None":
        """The sweep that the function stands for; None if an end is missing.

        A function around another one changes its scale or its type.
        """
        inner = Call.read(self.given[-1]) if self.given else None
        if inner is not None and inner.function:
            return self._around(inner.sweep)
        if self.name in CHOICES:
            values = self._values
            return Sweep(tuple(map(_choice_text, values))) if values else None
        low, high, step = self._bounds
        if low is None or high is None or self.name not in SWEEPS:
            return None
        base = EXPONENTS.get(self.name)
        if base is not None and min(float(low), float(high)) < 0:
            low, high = (f"{base ** float(end):.3g}" for end in (low, high))
        is_whole = self.name in (*INTEGERS, *WITHOUT_END, "qlograndint")
        has_end = self.name not in WITHOUT_END
        return Sweep((), low, high, step, is_whole, self._is_log, has_end)

    def _around(self, sweep: "Sweep | None") -> "Sweep | None":
        is_tag = self.name == "tag" and self.given[0] == "log"
        if sweep is None or (sweep.values and self.name not in CHOICES):
            return None
        is_log = sweep.is_log or is_tag or self._is_log
        return replace(sweep, is_log=is_log, is_whole=sweep.is_whole or self.name in INTEGERS)

    @property
    def _values(self) -> Sequence[str]:
        """The values that the function chooses from. A name may stand before a list of them."""
        lists = [Call.read(text) for text in (*self._under(LISTS), *self.given)]
        are_lists = [each is not None and not each.function for each in lists]
        one = lists[are_lists.index(True)] if are_lists.count(True) == 1 else None
        return self.given if one is None else one.given

    @property
    def _is_log(self) -> bool:
        """Whether the scale is logarithmic, by the function or by an argument, `log=True`."""
        named = (f"{name}={text}" for name, text in self.named.items())
        texts = [text.lower() for text in (*self.given[1:], *named)]
        asked = any(re.match(r"""['"]?log|\w+=['"]log""", text) for text in texts)
        return self.name in LOGS or (asked and "log=false" not in texts)

    @property
    def _bounds(self) -> tuple[str | None, str | None, str | None]:
        """The lower end, the upper one and the step; None for what is not given."""
        numbers = [text for text in self.given if _is_number(text)]
        if self.name in WITHOUT_END and len(numbers) == 1 and not self.named:
            numbers = ["0", *numbers]
        numbers = numbers if STEPPED.fullmatch(self.function) else numbers[:2]
        ends = [self._end(LOW), self._end(HIGH), self._end(STEP)]
        missing = [i for i, end in enumerate(ends) if end is None]
        for i, number in zip(missing, numbers, strict=False):
            ends[i] = number
        return ends[0], ends[1], ends[2]

    def _end(self, names: Sequence[str]) -> str | None:
        return next(filter(_is_number, self._under(names)), None)

    def _under(self, names: Sequence[str]) -> list[str]:
        return [self.named[name] for name in names if name in self.named]


@dataclass(frozen=True)
class Sweep:
    """A sweep: the values of a list, or the numbers between two ends, as they were typed."""

    values: Sequence[str] = ()
    low: str = "0"
    high: str = "0"
    step: str | None = None
    is_whole: bool = False
    is_log: bool = False
    has_end: bool = True

    @property
    def text(self) -> str | None:
        """The sweep as Hydra writes it; None if its ends are none."""
        if self.values:  # Hydra's choice() takes no null
            text = ",".join(self.values)
            return text if "null" in self.values else f"choice({text})"
        low, high, step = (Decimal(text) for text in (self.low, self.high, self.step or "0"))
        if low > high or (self.is_log and low <= 0):
            return None
        if step > 0 and not self.is_log:
            # A range of Hydra excludes its end. It adds up numbers that are rounded.
            last = low + (high - low) // step * step
            beyond = step if _is_int(self.low) and _is_int(str(self.step)) else step / 2
            end = last + beyond if self.has_end else high
            return f"range({self.low},{end},{self.step})"
        if not self.has_end and not self.is_log:
            return f"range({self.low},{self.high})"
        text = f"interval({self.low},{self.high if self.has_end else high - 1})"
        text = f"int({text})" if self.is_whole else text
        return f"tag(log,{text})" if self.is_log else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d*\.?\d+\.?(?:e[+-]?\d+)?", text, re.I) is not None


def _is_int(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def _choice_text(text: str) -> str:
    """Return a value that was written in Python's grammar in Hydra's."""
    try:
        value: Any = ast.literal_eval(text)
    except (SyntaxError, ValueError):  # a name, such as adam
        return text
    return text if _is_number(text) else override_text(value)
