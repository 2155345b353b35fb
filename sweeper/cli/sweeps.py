"""Sweeps that are written as in other programs, and how Hydra writes them."""

import re
from typing import Any

from sweeper.cli.foreign_sweeps import SWEEPS, Call
from sweeper.cli.overrides import shell_word

OF_HYDRA = ("", "interval", "choice", "int", "float")
"""The functions of Hydra's grammar that other programs have too."""

_NUMBER = r"(-?\d[\d.]*?(?:e[+-]?\d+)?)"
ENDS = re.compile(rf"(?:range|interval)?[(\[]?{_NUMBER}\s*(?:\.\.+|:|-|~)\s*{_NUMBER}[)\]]?", re.I)
"""Two numbers with what people write between the ends of an interval."""
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
    call = Call.read(value)
    if call is None or call.name not in SWEEPS or call.function == "range":
        return None
    try:
        sweep = call.sweep
        written = None if sweep is None else sweep.text
    except ArithmeticError:  # a number that is too large to compute with
        return None
    if written is None:
        return None
    is_ours = call.name in OF_HYDRA
    reason = "is no sweep as it stands" if is_ours else f"there is no sweep {call.function}"
    return f"{override}: {reason}; type {_flag(is_multirun)}{as_typed(f'{key}={written}')}"


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
