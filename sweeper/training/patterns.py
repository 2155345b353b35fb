"""Parts of a network by patterns in the shell's notation (`fnmatch`).

A pattern names modules and parameters, and what is said of a module holds for all below it:
`features`, `features.0`, `*.bias`.
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from sweeper.errors import ConfigError
from sweeper.text import near_names


def first_match(names: Iterable[str], patterns: Iterable[str]) -> str | None:
    """Return the first pattern that names an entry of a network, or a module that it lies in.

    `names` are those that the entry goes by: several where it is shared.
    """
    known = [name for entry in names for name in _with_modules(entry)]
    return next((p for p in patterns if any(fnmatchcase(name, p) for name in known)), None)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether any pattern names this entry of a network, or a module that it lies in."""
    return first_match([name], patterns) is not None


def require_found(where: str, pattern: str, names: Collection[str]) -> None:
    """Raise ConfigError for a pattern that names none of a network's entries."""
    if any(matches(name, [pattern]) for name in names):
        return
    known = {part for name in names for part in _with_modules(name)}
    near = near_names(pattern, known)
    hint = f"did you mean {' or '.join(near)}? Its" if near else "its"
    raise ConfigError(f"{where} names no weights of the network; {hint} parts are {parts(names)}")


def parts(names: Iterable[str]) -> str:
    """Return the outermost modules that hold these entries, for a message."""
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))


def _with_modules(name: str) -> list[str]:
    """The names of the modules that an entry lies in, outermost first, and its own."""
    steps = name.split(".")
    return [".".join(steps[:depth]) for depth in range(1, len(steps) + 1)]
