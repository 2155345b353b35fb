"""Values as Hydra overrides, and overrides as a command line that a user can type."""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from sweeper.cli.program import program

CONFIG_OPTIONS = ("--config-name", "--config-path", "--config-dir", "-cn", "-cp", "-cd")
"""The options of a Hydra application that select its config."""

_NOT_READ_AS_TEXT = re.compile(r"null|true|false|[+-]?(inf|nan|[\d_.]+(e[+-]?[\d_]*)?)", re.I)
_SPECIAL_IN_KEYS = re.compile(r"([\\()\[\]{}:=, \t])")


def quoted(value: PurePath | str) -> str:
    """Return a path or a text as a value in Hydra's override grammar, quoted if necessary.

    A path gets slashes, also on Windows: both of its shells take them, and Hydra does.
    """
    text = value.as_posix() if isinstance(value, PurePath) else value
    if re.fullmatch(r"[\w/.:+\-]+", text, re.ASCII) and not _NOT_READ_AS_TEXT.fullmatch(text):
        return text
    # Inside quotes Hydra reads backslashes literally, except those directly before a quote.
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + m[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


def override_text(value: Any) -> str:
    """Return a plain value in Hydra's override grammar, which reads an equal value back.

    A member of an Enum becomes its name. There is one text for each value. A value that the grammar
    does not have becomes its `str` in quotes.
    """
    if value is None:
        return "null"
    if isinstance(value, Enum):
        return quoted(value.name)
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(override_text, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_key_text(key)}:{override_text(item)}" for key, item in value.items())
        return f"{{{','.join(pairs)}}}"
    return quoted(str(value))


def _key_text(key: Any) -> str:
    """Return a key of a mapping; the grammar has no quotes there."""
    text = key.name if isinstance(key, Enum) else "null" if key is None else str(key)
    return _SPECIAL_IN_KEYS.sub(r"\\\1", text)


def bare_key(override: str) -> str:
    """Return the key of an override, or a key, without the prefixes `+`, `++` and `~`."""
    return override.partition("=")[0].lstrip("+~")


def override_line(key: str, value: Any) -> str:
    """Return the override `key=value`. A text must already be in Hydra's override grammar."""
    return f"{key}={'null' if value is None else value}"


def values_below(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of nested mappings, with dots in the keys.

    >>> dict(values_below({"model": {"hidden": 32}}))
    {'model.hidden': 32}
    """
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from values_below(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def command_line(overrides: Sequence[str]) -> str:
    """Return the command that runs this application once with these overrides."""
    return command_line_of(program(), sys.argv[1:], overrides)


def command_line_of(
    application: Sequence[str], arguments: Sequence[str], overrides: Sequence[str]
) -> str:
    """Return the command that runs an application once with these overrides.

    Args:
        application: The arguments of Python that run it, as `program` returns them.
        arguments: Those with which it was started. The options that select its config are kept.
        overrides: The overrides.
    """
    return shlex.join(["python", *application, *_config_options(arguments), *overrides])


def to_type(override: str) -> str:
    """Return `type OVERRIDE` for a message, with the quotes that a shell needs."""
    return f"type {shell_word(override)}"


def shell_word(text: str) -> str:
    """Return a text as one word of a shell, with quotes if it needs them."""
    # `shlex.quote` alone would end and begin its quotes again around each quote of the text.
    is_plain = not re.search(r'["\\$`!]', text)
    return f'"{text}"' if "'" in text and is_plain else shlex.quote(text)


def flags_and_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the flags of a Hydra application with their values, and its overrides.

    Overrides that follow the flags are taken by Hydra, those on both sides of a flag are not.
    """
    flags, overrides = list[str](), list[str]()
    for previous, argument in pairwise(("", *arguments)):
        is_flag = argument.startswith("-") or previous in CONFIG_OPTIONS
        (flags if is_flag else overrides).append(argument)
    return flags, overrides


def _config_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that select the config."""
    selected: list[str] = []
    for i, argument in enumerate(arguments):
        name, equals, _ = argument.partition("=")
        if name in CONFIG_OPTIONS:
            selected += [argument] if equals else arguments[i : i + 2]
    return selected
