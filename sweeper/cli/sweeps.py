"""Sweeps that are written as in other programs, and how Hydra writes them."""

import re
from typing import Any

from sweeper.cli.overrides import shell_word
from sweeper.cli.vocabulary import plain

OF_HYDRA = ("", "interval", "choice")
INTERVAL, LOG, CHOICE = "interval({})", "tag(log,interval({}))", "choice({})"
INTEGER, INTEGER_LOG = "int(interval({}))", "tag(log,int(interval({})))"
RANGE = "range({})"
WITH_LOG = {INTERVAL: LOG, INTEGER: INTEGER_LOG}
INTERVALS = (
    *("", "interval", "uniform", "quniform", "float", "real", "linear", "linspace", "float_range"),
    "between",
)
INTEGERS = ("int", "integer", "int_range", "qrandint")
LOGS = ("log", "loguniform", "log_uniform", "qloguniform", "logspace", "geom", "logrange")
CHOICES = (
    *("choice", "categorical", "grid", "grid_search", "list", "select", "options", "values"),
    *("oneof", "one_of", "choices"),
)
SWEEPS = {
    **dict.fromkeys(INTERVALS, INTERVAL),
    **dict.fromkeys(INTEGERS, INTEGER),
    "randint": RANGE,  # in Ray Tune and NumPy it excludes its end
    **dict.fromkeys(["lograndint", "qlograndint"], INTEGER_LOG),
    **dict.fromkeys(LOGS, LOG),
    **dict.fromkeys(CHOICES, CHOICE),
}
"""How other programs write a sweep, and how Hydra does."""

_NUMBER = r"(-?\d[\d.]*?(?:e[+-]?\d+)?)"
ENDS = re.compile(rf"(?:range|interval)?[(\[]?{_NUMBER}\s*(?:\.\.+|:|-|~)\s*{_NUMBER}[)\]]?", re.I)
"""Two numbers with what people write between the ends of an interval."""
_NAME = re.compile(r"""(?:(['"]).*?\1|[A-Za-z_][\w.]*(?=\s*,\s*\[))\s*,\s*""")
"""The name that Optuna's `suggest_float("lr", ...)` begins with; the shell may take its quotes."""
_COMMA = re.compile(r"-?(?:0|[1-9]\d{0,2})(?:,\d+)*,0\d+(?:,\d+)*")


def sweep_advice(override: str, is_multirun: bool) -> str | None:
    """Return the line for a sweep that is written as in other programs, or None for other text."""
    key, _, value = override.partition("=")
    if ends := ENDS.fullmatch(value):
        interval = f"interval({ends[1]},{ends[2]})"
        are_whole = all(re.fullmatch(r"-?\d+", end) for end in ends.groups())
        text = as_typed(f"{key}=int({interval})" if are_whole else f"{key}={interval}")
        return f"{override}: is no sweep as it stands; type {_flag(is_multirun)}{text}"
    if braces := re.fullmatch(r"\{([^:{}]+)\}", value):
        return f"{override}: {without_brackets(key, braces[1], is_multirun)}"
    match = re.fullmatch(r"\s*(?:\w+\.)*(\w*)[(\[](.*)[)\]]\s*", value, re.DOTALL)
    name = plain(match[1].removeprefix("suggest_")) if match else ""
    if match is None or name not in SWEEPS:
        return None
    inside = match[2].strip()
    if match[1].startswith("suggest_"):
        inside = inside.removeprefix(named[0]) if (named := _NAME.match(inside)) else inside
    inner = re.fullmatch(r"(?:interval|uniform|range)\((.*)\)", inside)
    numbers = [part.strip() for part in (inner[1] if inner else inside).split(",")]
    if name in ("int", "float") and len(numbers) < 2:  # a cast of Hydra's grammar
        return None
    template = SWEEPS[name]
    if template == CHOICE:
        one_list = re.fullmatch(r"[(\[]([^()\[\]]*)[)\]]", inside)
        numbers = [part.strip() for part in one_list[1].split(",")] if one_list else numbers
    else:
        numbers = [number for number in numbers if not number[:1].isalpha()][:2]
        has_log = "log" in inside and "log=false" not in inside.lower()
        template = WITH_LOG.get(template, template) if has_log else template
    text = f"{key}={template.format(','.join(numbers))}"
    flag = _flag(is_multirun)
    reason = f"there is no sweep {match[1]}" if name not in OF_HYDRA else "is no sweep as it stands"
    return f"{override}: {reason}; type {flag}{as_typed(text)}"


def has_comma_in_number(override: str) -> bool:
    """Return whether a value looks like a number with a comma, such as 1,000 or 0,01.

    Hydra reads it as several values. Those that people mean do not begin with 0.
    """
    return _COMMA.fullmatch(override.partition("=")[2]) is not None


def comma_advice(override: str, default: Any) -> str | None:
    """Return the line for a number with commas in place of a value of a key, or None for a text.

    default: the value that the key has otherwise.
    """
    key, _, value = override.partition("=")
    parts = value.split(",")
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if not is_number and not key.startswith("hydra."):
        return None
    if len(parts) == 2 and (isinstance(default, float) or (default is None and parts[0] == "0")):
        meant, how = ".".join(parts), "with a point"
    elif parts[0] != "0" and all(len(part) == 3 for part in parts[1:]):
        meant, how = "".join(parts), "without commas"
    else:
        return None
    return f"{override}: is read as the values {' and '.join(parts)}; type {key}={meant}, {how}"


def without_brackets(key: str, values: str, is_multirun: bool) -> str:
    """Return what to type for values that are to be tried one after another."""
    inner = ",".join(value.strip() for value in values.split(","))
    text = as_typed(f"{key}={inner}")
    return f"to try one value after another, type {_flag(is_multirun)}{text}"


def _flag(is_multirun: bool) -> str:
    return "" if is_multirun else "--multirun "


def as_typed(text: str) -> str:
    """Return one override, or two with a space between them, as a shell takes them."""
    first, space, second = text.partition(" ")
    if space and "=" in second and re.fullmatch(r"[\w/]+=[\w/.-]+", first):
        return f"{first} {shell_word(second)}"
    return shell_word(text)
