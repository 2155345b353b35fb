"""The command line: Hydra composes the config, `run` executes it, errors end in one line."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_original_cwd
from omegaconf import OmegaConf

from sweeper.errors import SweeperError, TrainingError
from sweeper.messages import one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGE = Path(__file__).parent
# The configs lie beside the package in a checkout, and inside it once installed from a wheel.
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


def torchvision_min_image_size(name: str) -> int:
    """Return the smallest image, in pixels a side, that a model of torchvision takes."""
    from sweeper.models.torchvision import min_image_size  # torchvision takes seconds to import

    return min_image_size(name)


OmegaConf.register_new_resolver(
    "torchvision_min_image_size", torchvision_min_image_size, replace=True
)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="config")
def task(cfg: "DictConfig") -> float:
    """Run the composed experiment; return the best value of its metric."""
    from sweeper.run import (
        Invocation,
        named_choices,
        run,
    )  # torch takes seconds to import, --help does without

    settings = HydraConfig.get()
    invocation = Invocation(
        choices=named_choices(cfg, settings.runtime.choices),
        overrides=list(settings.overrides.task),
        folder=Path(settings.runtime.output_dir),
        start_folder=Path(get_original_cwd()),
    )
    try:
        return run(cfg, invocation)
    except SweeperError as error:
        if not isinstance(error, TrainingError):
            _discard(invocation.folder, settings.output_subdir, f"{settings.job.name}.log")
        if settings.mode is RunMode.MULTIRUN or WANTS_TRACEBACK:
            raise
        # Hydra would put a line of its own before the error of a single run.
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _discard(folder: Path, *written_by_hydra: str | None) -> None:
    """Remove the folder of a run that never began, unless something else lies in it."""
    names = {name for name in written_by_hydra if name}
    if {path.name for path in folder.iterdir()} - names:
        return
    shutil.rmtree(folder)
    for parent in folder.parents[:2]:  # outputs/<day>, outputs
        if any(parent.iterdir()):
            return
        parent.rmdir()


def main() -> None:
    """Run the command line; exit with 1 after an error that its user can mend."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and the wording is ours
    try:
        task()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = None if WANTS_TRACEBACK else one_line(error)
        if message is None:
            raise
        sys.stderr.write(message + "\n")
        sys.exit(1)
