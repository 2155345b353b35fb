"""Patterns that name parts of a network, in the notation of the shell (`fnmatch`).

A pattern matches names of modules and parameters: `features`, `features.0`, `*.bias`. A pattern
that matches a module matches all parameters in it.
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from sweeper.errors import ConfigError
from sweeper.text import near_names


def first_match(names: Iterable[str], patterns: Iterable[str]) -> str | None:
    """Return the first pattern that matches a parameter or a module around it, or None.

    `names` are all the names of the parameter; a shared parameter has several.
    """
    candidates = [prefix for name in names for prefix in _prefixes(name)]
    return next((p for p in patterns if any(fnmatchcase(name, p) for name in candidates)), None)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether any pattern matches this parameter or a module around it."""
    return first_match([name], patterns) is not None


def require_match(where: str, pattern: str, names: Collection[str]) -> None:
    """Check that the pattern matches at least one of the network's parameters.

    `where` is the key and value that the message begins with.

    Raises:
        ConfigError: the pattern matches none; the message lists similar names.
    """
    if any(matches(name, [pattern]) for name in names):
        return
    known = {prefix for name in names for prefix in _prefixes(name)}
    near = near_names(pattern, known)
    hint = f"did you mean {' or '.join(near)}? Its" if near else "its"
    raise ConfigError(
        f"{where} names no weights of the network; {hint} parts are {part_names(names)}"
    )


def part_names(names: Iterable[str]) -> str:
    """Return the names of the outermost modules of these parameters, separated by commas."""
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))


def _prefixes(name: str) -> list[str]:
    """Return the names of all modules around a parameter, outermost first, and its own name."""
    steps = name.split(".")
    return [".".join(steps[:depth]) for depth in range(1, len(steps) + 1)]
