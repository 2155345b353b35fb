"""The command lines of the tools beside training: `key=value` as everywhere, files, flags."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from sweeper.cli.messages import run_command
from sweeper.errors import ConfigError
from sweeper.text import did_you_mean

_KEY = re.compile(r"([A-Za-z_][\w.]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Arguments:
    """What a tool was told: its own keys, overrides of the config, flags, and the rest."""

    values: Mapping[str, str]
    overrides: Sequence[str]
    flags: frozenset[str]
    rest: Sequence[str]

    def required(self, key: str, example: str) -> str:
        """Return the value of a key; ConfigError, with an example, when it was not given."""
        if not self.values.get(key):
            raise ConfigError(f"{key} has no value of its own: type {key}={example}")
        return self.values[key]


def parsed(argv: Sequence[str], keys: Sequence[str], flags: Sequence[str] = ()) -> Arguments:
    """Sort the words of a command line.

    Keys with a dot, such as `data.root=FOLDER`, override the config. Raises ConfigError for a
    key or flag that the tool does not have.
    """
    values, overrides, given, rest = {}, [], set(), []
    for word in argv:
        match = _KEY.fullmatch(word)
        if Path(word).exists():
            rest.append(word)
        elif word.startswith("--"):
            if word not in flags:
                raise ConfigError(f"{word}: there is no such flag; {did_you_mean(word, flags)}")
            given.add(word)
        elif match is None:
            rest.append(word)
        elif "." in match[1]:
            overrides.append(word)
        elif match[1] in keys:
            values[match[1]] = match[2]
        else:
            raise ConfigError(f"{word}: there is no key {match[1]}; {did_you_mean(match[1], keys)}")
    return Arguments(values, overrides, frozenset(given), rest)


def run_tool(tool: Callable[[Sequence[str]], None], usage: str | None) -> None:
    """Run a tool on the command line; one line and exit code 1 for what its user can mend."""
    argv = sys.argv[1:]
    if {"--help", "-h"} & set(argv):
        sys.stdout.write(f"{(usage or '').strip()}\n")
        return
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may be no text at all
        sys.stdout.reconfigure(errors="backslashreplace")
    run_command(lambda: tool(argv))
