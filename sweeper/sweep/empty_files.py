"""What a trial leaves behind that wrote nothing: no empty log, and no empty folder.

Hydra's own files in `.hydra/` stay. They are what a user of Hydra looks for in the folder of a job,
and what programs read that gather the results of a multirun. They take less than a millisecond. Who
does not want them types `hydra.output_subdir=null`, as without sweeper; then a trial that wrote
nothing has no folder.
"""

from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from sweeper.launch.output import OUTPUT_FILE


def remove_empty(folder: Path, config: DictConfig) -> None:
    """Remove the logs in a trial's folder that are empty, and then the folder if it is."""
    for name in (OUTPUT_FILE, f"{config.hydra.job.name}.log"):
        file = folder / name
        with suppress(OSError):
            if file.stat().st_size == 0:
                file.unlink()
    with suppress(OSError):  # it is not empty, or it is not there
        folder.rmdir()
