"""The default values of a study's application, as it composes them itself in another process."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.errors import ConfigError
from sweeper.sweep.command import StudyCommand
from sweeper.text import in_one_line, shortened


def default_config(command: StudyCommand, overrides: Sequence[str]) -> DictConfig:
    """Return the config that the application composes from these overrides.

    Raises:
        ConfigError: it cannot be composed.
    """
    done = subprocess.run(
        [sys.executable, *command.program, *overrides, "--cfg", "job", "--resolve"],
        cwd=command.cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = shortened(in_one_line(done.stderr or done.stdout), 300)
        raise ConfigError(f"study {command.study}: its default config cannot be composed: {reason}")
    config: Any = OmegaConf.create(done.stdout)
    return config  # type: ignore[no-any-return]
