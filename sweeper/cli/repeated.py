"""What a command line says of overrides that a later one replaces."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from sweeper.cli.overrides import bare_key
from sweeper.cli.typed import keys_within, parsed
from sweeper.secrets import without_password
from sweeper.text import shortened

WIDTH = 80
"""Columns for an override in a line; what does not fit is cut."""


def repeated_lines(overrides: Sequence[str]) -> list[str]:
    """Return a line for each override whose key is set again, to another value, by a later one.

    The last one counts, as always under Hydra. One that is left out by `~` counts as set again.
    """
    lines, setters = [], dict[str, str]()
    for override in reversed(overrides):
        read = parsed(override)
        if read is None:
            continue
        keys = _keys(read)
        setting = {setters[key] for key in keys if key in setters}
        later = [each for each in dict.fromkeys(overrides) if each in setting]
        if keys <= setters.keys() and not read.is_delete() and not _are_equal(read, later):
            lines.append(_line(override, later))
        for key in keys:
            setters.setdefault(key, override)
    return list(dict.fromkeys(lines[::-1]))


def _keys(override: Override) -> set[str]:
    """Return the keys that an override sets: those of the values in a mapping, else its own."""
    key = bare_key(override.get_key_element())
    if override.is_delete() or override.is_sweep_override():
        return {key}
    every = [inner for inner, _ in keys_within(key, override.value())]
    return {inner for inner in every if not any(each.startswith(f"{inner}.") for each in every)}


def _are_equal(override: Override, later: Sequence[str]) -> bool:
    """Return whether the only later override sets the same value."""
    others = [parsed(line) for line in later]
    return len(others) == 1 and others[0] is not None and _value(others[0]) == _value(override)


def _value(override: Override) -> tuple[bool, str]:
    """Return whether there is a value, and the value as text: Python takes 1 for True and 1.0."""
    if override.is_sweep_override():
        return False, "".join(override.get_value_string().split())
    return override.is_delete(), repr(override.value())


def _line(override: str, later: Sequence[str]) -> str:
    first, *others = (shortened(without_password(line), WIDTH) for line in (override, *later))
    counts = f"{' and '.join(others)} after it {'counts' if len(others) == 1 else 'count'}"
    return f"{first}: has no effect, since {counts}; leave it out"
