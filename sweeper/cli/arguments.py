"""The arguments of `evaluate`, `predict` and `explain`.

They are `key=value`, overrides of the config, files and flags.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from sweeper.cli.advice import CHECKPOINTS
from sweeper.cli.messages import run_command
from sweeper.cli.overrides import shell_word
from sweeper.cli.vocabulary import SYNONYMS
from sweeper.errors import ConfigError
from sweeper.text import did_you_mean, near_names

STUDY_KEYS = ("study", "name", "folder", "study_name", "hydra.sweeper.study_name")
"""Keys by which people name a study."""

_KEY = re.compile(r"([A-Za-z_][\w.]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Arguments:
    """The parsed arguments of a command.

    values: the values of the command's own keys.
    overrides: overrides of the config, such as `data.root=FOLDER`.
    flags: the flags that are set, such as `--json`.
    positional: all other arguments.
    """

    values: Mapping[str, str]
    overrides: Sequence[str]
    flags: frozenset[str]
    positional: Sequence[str]

    def required(self, key: str, example: str) -> str:
        """Return the value of a key.

        Raises:
            ConfigError: the key has no value; the message shows the example.
        """
        if not self.values.get(key):
            file = next((each for each in self.positional if Path(each).suffix == ".pt"), None)
            value = example if file is None else shell_word(file)
            raise ConfigError(f"{key} has no value: type {key}={value}")
        return self.values[key]


def parse_arguments(
    argv: Sequence[str], keys: Sequence[str], flags: Sequence[str] = ()
) -> Arguments:
    """Parse a command line; a path that exists is positional, a key with a dot is an override.

    Raises:
        ConfigError: the command has no such key or flag, or a key has two values.
    """
    values: dict[str, str] = {}
    overrides, flags_set, positional = [], set(), list[str]()
    for argument in argv:
        match = _KEY.fullmatch(argument)
        if os.path.exists(argument):  # noqa: PTH110  False for a name that no file can have
            positional.append(argument)
        elif argument.startswith("--"):
            if argument not in flags:
                key, _, value = argument.lstrip("-").partition("=")
                is_key = key.replace("-", "_") in keys or "." in key
                hint = did_you_mean(argument, flags)
                hint = f"type {key}={value or 'VALUE'}, without dashes" if is_key else hint
                raise ConfigError(f"{argument}: there is no such flag; {hint}")
            flags_set.add(argument)
        elif match is None:
            positional.append(argument)
        elif "." in match[1]:
            _check_value(argument)
            overrides.append(argument)
        elif match[1] in keys:
            value = os.path.expanduser(match[2])  # noqa: PTH111  no shell does
            if values.setdefault(match[1], value) != value:
                first = f"{match[1]}={values[match[1]]}"
                raise ConfigError(f"{first} {argument}: {match[1]} has one value; type one of them")
        else:
            hint = _key_hint(match[1], match[2], keys)
            raise ConfigError(f"{argument}: there is no key {match[1]}; {hint}")
    return Arguments(values, overrides, frozenset(flags_set), positional)


def study_meant(arguments: Sequence[str]) -> str | None:
    """Return the folder of a study that is named by a key, such as `study=NAME`, as it is typed.

    None if none is: no command that takes the folder of a study has a key for it.
    """
    pairs = [argument.partition("=")[::2] for argument in arguments]
    name = next((value for key, value in pairs if key in STUDY_KEYS and value), None)
    if name is None:
        return None
    return shell_word(name if Path(name).is_dir() else f"multirun/{name}")


def _key_hint(key: str, value: str, keys: Sequence[str]) -> str:
    """Return what to type for a key that the command does not have."""
    same = [each for each in keys if SYNONYMS.get(each, each) == SYNONYMS.get(key, key)]
    same = ["checkpoint"] if value.endswith(CHECKPOINTS) and "checkpoint" in keys else same
    if meant := same or near_names(key, keys):
        texts = [shell_word(f"{each}={value or 'VALUE'}") for each in meant]
        return f"type {' or '.join(texts)}"
    return f"choose one of {', '.join(sorted(keys))}"


def _check_value(override: str) -> None:
    """Check that the value of an override of the checkpoint's config is YAML."""
    try:
        OmegaConf.from_dotlist([override])
    except Exception as error:  # YAML's errors and OmegaConf's have many types
        raise ConfigError(
            f"{override}: the value cannot be read as YAML; put a text with special characters in "
            "quotes within the quotes of the shell"
        ) from error


def run_tool(tool: Callable[[Sequence[str]], None], usage: str | None) -> None:
    """Run a command on `sys.argv`; print `usage` for --help, and one line for a user's error."""
    argv = sys.argv[1:]
    if {"--help", "-h"} & set(argv):
        sys.stdout.write(f"{(usage or '').strip()}\n")
        return
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a file name may not be valid Unicode
        reconfigure(errors="backslashreplace")
    run_command(lambda: tool(argv), argv)
