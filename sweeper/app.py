"""The command `python -m sweeper`: Hydra composes the config, and `sweeper.run` executes it."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_original_cwd

from sweeper.cli.messages import WANTS_TRACEBACK, run_command
from sweeper.configs import CONFIGS
from sweeper.errors import SweeperError
from sweeper.text import printable

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="config")
def task(cfg: "DictConfig") -> float | tuple[float, ...]:
    """Run the composed experiment; return the best value of its metric, or of each metric."""
    # torch takes seconds to import, and --help does not need it.
    from sweeper.build.recipe import named_choices
    from sweeper.run.invocation import Invocation
    from sweeper.run.start import start

    settings = HydraConfig.get()
    invocation = Invocation(
        choices=named_choices(cfg, settings.runtime.choices),
        overrides=list(settings.overrides.task),
        arguments=sys.argv[1:],
        folder=Path(settings.runtime.output_dir),
        start_folder=Path(get_original_cwd()),
    )
    started = False
    try:
        run = start(cfg, invocation)
        started = True
        return run.execute()
    except (SweeperError, KeyboardInterrupt) as error:
        if not started:
            written = {str(settings.output_subdir), f"{settings.job.name}.log"}
            _discard(invocation.folder, invocation.start_folder, written)
        hydra_reports = settings.mode is RunMode.MULTIRUN or WANTS_TRACEBACK
        if isinstance(error, KeyboardInterrupt) or hydra_reports:
            raise
        # Hydra would print another line before the error of a single run.
        sys.stderr.write(printable(f"{error}\n", newlines=True))
        sys.exit(1)


def _discard(folder: Path, start_folder: Path, written_by_hydra: set[str]) -> None:
    """Remove the files that Hydra wrote for a run that did not start, and its empty folders."""
    if {path.name for path in folder.iterdir()} - written_by_hydra:
        return  # other files are in the folder, which may be the record of another run
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for parent in (folder, *folder.parents):
        # Outside outputs/ an empty folder may have existed before the command.
        if not parent.is_relative_to(start_folder / "outputs") or any(parent.iterdir()):
            return
        parent.rmdir()


def main() -> None:
    """Run the command line; exit with 1 after an error that the user can fix."""
    # Hydra then raises the exception instead of printing it, and `run_command` words the message.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    run_command(task)
