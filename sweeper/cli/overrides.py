"""Values as Hydra overrides, and overrides as a command line that a user can type."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import __main__

CONFIG_OPTIONS = ("--config-name", "--config-path", "--config-dir", "-cn", "-cp", "-cd")
"""The options of a Hydra application that select its config."""


def quoted(value: Path | str) -> str:
    """Return a path or a text as a value in Hydra's override grammar, quoted if necessary."""
    text = str(value)
    if re.fullmatch(r"[\w/.:+\-]+", text, re.ASCII):
        return text
    # Inside quotes Hydra reads backslashes literally, except those directly before a quote.
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + m[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


def override_line(key: str, value: Any) -> str:
    """Return the override `key=value`. A text must already be in Hydra's override grammar."""
    return f"{key}={'null' if value is None else value}"


def command_line(overrides: Sequence[str]) -> str:
    """Return the command that runs this application once with these overrides."""
    return shlex.join(["python", *program(), *_config_options(sys.argv[1:]), *overrides])


def program() -> list[str]:
    """Return the arguments of Python that run this application."""
    spec = getattr(__main__, "__spec__", None)
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def _config_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that select the config."""
    selected: list[str] = []
    for i, argument in enumerate(arguments):
        name, equals, _ = argument.partition("=")
        if name in CONFIG_OPTIONS:
            selected += [argument] if equals else arguments[i : i + 2]
    return selected
