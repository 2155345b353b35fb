"""How a run was asked for."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.cli.overrides import quoted


@dataclass(frozen=True)
class Invocation:
    """How a run was asked for, and where it works."""

    choices: Mapping[str, str]
    """The option of each group."""
    overrides: Sequence[str]
    """What Hydra composed the config with."""
    arguments: Sequence[str]
    """The command line after `python -m sweeper`."""
    folder: Path
    """Where the run writes."""
    start_folder: Path
    """Where the command was started; relative paths in the config start there."""

    def resume_command(self, checkpoint: Path) -> str:
        """Return the command line that continues this run from one of its checkpoints."""
        kept = [word for word in self.arguments if not word.startswith("resume=")]
        return shlex.join(["python", "-m", "sweeper", *kept, f"resume={quoted(checkpoint)}"])
