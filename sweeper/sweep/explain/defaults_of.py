"""The config of a study's application, as it composes it itself in another process."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.cli.overrides import override_text, quoted
from sweeper.errors import ConfigError
from sweeper.sweep.command import StudyCommand
from sweeper.text import in_one_line, shortened

HYDRAS_LINE = "\nSet the environment variable HYDRA_FULL_ERROR=1"
COMPARING = ("hydra.sweeper.study=compare", "hydra.sweeper.check=false", "hydra/launcher=basic")


def default_config(command: StudyCommand, overrides: Sequence[str]) -> DictConfig:
    """Return the config that the application composes from these overrides.

    Raises:
        ConfigError: it cannot be composed.
    """
    config: Any = OmegaConf.create(_printed(command, [*overrides, "--cfg", "job", "--resolve"]))
    return config  # type: ignore[no-any-return]


def default_options(command: StudyCommand, overrides: Sequence[str]) -> dict[str, str | None]:
    """Return the option of each config group that these overrides give, None if it has none.

    The options are in Hydra's override grammar.

    Raises:
        ConfigError: the config cannot be composed.
    """
    config = OmegaConf.create(_printed(command, [*overrides, "--cfg", "hydra"]))
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    assert isinstance(choices, dict)
    return {str(k): None if v is None else override_text(v) for k, v in choices.items()}


def check_settings(command: StudyCommand, folder: Path) -> None:
    """Check that the settings of a study, those in files too, are what they were when it ran.

    Raises:
        ConfigError: they are not, or its config cannot be composed.
    """
    where = [f"hydra.sweep.dir={quoted(folder)}"]
    done = _done(command, command.worker(COMPARING, where))
    if done.returncode:
        raise ConfigError(_reason(done, 1000))


def _printed(command: StudyCommand, arguments: Sequence[str]) -> str:
    """Return what the application prints if it has these arguments.

    Raises:
        ConfigError: it fails.
    """
    done = _done(command, [sys.executable, *command.program, *arguments])
    if done.returncode:
        reason = _reason(done, 300)
        raise ConfigError(f"study {command.study}: its default config cannot be composed: {reason}")
    return done.stdout


def _done(command: StudyCommand, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=command.start_folder, capture_output=True, text=True, check=False
    )


def _reason(done: subprocess.CompletedProcess[str], length: int) -> str:
    """Return in one line why a command has failed, without Hydra's own last line."""
    text = (done.stderr or done.stdout).partition(HYDRAS_LINE)[0]
    return shortened(in_one_line(text), length)
