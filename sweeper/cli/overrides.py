"""Values written back as overrides, and overrides as a command line that a person can run."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import __main__

CONFIG_OPTIONS = ("--config-name", "--config-path", "--config-dir", "-cn", "-cp", "-cd")
"""The options of a Hydra application that say where its config is."""


def quoted(value: Path | str) -> str:
    """Return a path or a text as Hydra's override grammar takes it, in quotes if need be."""
    text = str(value)
    if re.fullmatch(r"[\w/.:+\-]+", text):
        return text
    # In Hydra's quotes a backslash escapes only a quote, or backslashes before one.
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + m[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


def override_line(key: str, value: Any) -> str:
    """Return the override that gives `key` this value; a text is one in Hydra's grammar already."""
    return f"{key}={'null' if value is None else value}"


def command_line(overrides: Sequence[str]) -> str:
    """Return the command that runs this application once with these overrides."""
    return shlex.join([*_program(), *_config_options(sys.argv[1:]), *overrides])


def _program() -> list[str]:
    spec = getattr(__main__, "__spec__", None)
    if spec is None:
        return ["python", sys.argv[0]]
    return ["python", "-m", spec.name.removesuffix(".__main__")]


def _config_options(arguments: Sequence[str]) -> list[str]:
    """Return those of the arguments that say where the config is."""
    kept: list[str] = []
    for i, argument in enumerate(arguments):
        name, equals, _ = argument.partition("=")
        if name in CONFIG_OPTIONS:
            kept += [argument] if equals else arguments[i : i + 2]
    return kept
