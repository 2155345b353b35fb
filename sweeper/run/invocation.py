"""The invocation of a run: its command line and its folders."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf

from sweeper.build.choices import named_choices
from sweeper.cli.overrides import flags_and_overrides, quoted
from sweeper.secrets import masked_uri


@dataclass(frozen=True)
class Invocation:
    """The options, overrides and arguments that a run was started with, and its folders."""

    choices: Mapping[str, str]
    """The option of each group."""
    overrides: Sequence[str]
    """The overrides that Hydra composed the config with."""
    arguments: Sequence[str]
    """The command line after `python -m sweeper`."""
    folder: Path
    """The folder that the run writes to."""
    start_folder: Path
    """The folder that the command was started in; relative paths in the config refer to it."""

    @staticmethod
    def of_job(cfg: DictConfig) -> "Invocation":
        """Return the invocation of the job that Hydra runs in this process, with this config."""
        settings = HydraConfig.get()
        # As they were typed; they may refer to keys of the run's config.
        overrides: Any = OmegaConf.to_container(settings.overrides.task, resolve=False)
        return Invocation(
            choices=named_choices(cfg, settings.runtime.choices),
            overrides=list(overrides),
            arguments=sys.argv[1:],
            folder=Path(settings.runtime.output_dir),
            start_folder=Path(get_original_cwd()),
        )

    def resume_command(self, checkpoint: Path) -> str:
        """Return the command line that resumes this run from one of its checkpoints.

        In place of a password it has `***`.
        """
        flags, overrides = flags_and_overrides(self.arguments)  # in the order that Hydra takes
        overrides = [each for each in overrides if not each.startswith("resume=")]
        arguments = [*flags, *overrides, f"resume={quoted(checkpoint)}"]
        return shlex.join(["python", "-m", "sweeper", *map(masked_uri, arguments)])
