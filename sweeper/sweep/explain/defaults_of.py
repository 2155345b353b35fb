"""The default config of a study's application, as it composes it itself in another process."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.cli.overrides import override_text
from sweeper.errors import ConfigError
from sweeper.sweep.command import StudyCommand
from sweeper.text import in_one_line, shortened


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


def _printed(command: StudyCommand, arguments: Sequence[str]) -> str:
    """Return what the application prints if it has these arguments.

    Raises:
        ConfigError: it fails.
    """
    done = subprocess.run(
        [sys.executable, *command.program, *arguments],
        cwd=command.start_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = shortened(in_one_line(done.stderr or done.stdout), 300)
        raise ConfigError(f"study {command.study}: its default config cannot be composed: {reason}")
    return done.stdout
