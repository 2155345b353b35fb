"""The removal of what Hydra has written for a command that was refused."""

import contextlib
import shutil
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from sweeper.cli.run_folder import alone_in
from sweeper.errors import ConfigError, EndedError
from sweeper.hydra_state import as_hydra_config

OUTPUTS = "outputs"
"""The folder of the runs, whose empty folders may be removed."""

FOLDER_KEYS = ("hydra.run.dir", "hydra.sweep.dir")


_of_this_run: list[Path] = []
"""The folders that did not exist before Hydra created that of this run, the deepest first."""


class NoteFolders(Callback):
    """Hydra callback that notes which folders the run creates; its folder may be in any file."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Note the folders, before Hydra writes to that of the run.

        Raises:
            EndedError: another run is writing to it.
        """
        _of_this_run.clear()
        try:
            with as_hydra_config(config):
                text = str(config.hydra.run.dir)
            folder = Path(text).absolute()
            is_there = folder.is_dir()
        except Exception:  # a resolver may raise anything; Hydra reports it when it runs the job
            return
        _of_this_run[:] = _missing(text)
        try:
            with alone_in(folder) if is_there else contextlib.nullcontext():
                return
        except ConfigError as error:
            raise EndedError(error) from error

    def on_run_end(self, config: DictConfig, **_: Any) -> None:
        _of_this_run.clear()


class Leftovers:
    """What a command may leave behind if it is refused.

    Hydra creates the folder of a run, writes the config into it and opens a log there before it
    calls the task. `overrides` may name that folder; those of its parents that do not exist yet
    are remembered.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        self._missing = [
            folder
            for override in overrides
            for key, _, value in [override.lstrip("+").partition("=")]
            if key in FOLDER_KEYS
            for folder in _missing(value.strip("'\""))
        ]

    def remove(self, error: Exception | None = None) -> None:
        """Remove Hydra's own files of a job that `error` ended, and the empty folders."""
        job = _job_frame(error) if error is not None else None
        if job is not None:
            _empty_job_folder(job, self._missing)
        for folder in self._missing:
            with contextlib.suppress(OSError):  # it is not empty, or was not created
                folder.rmdir()


def _missing(text: str) -> Iterator[Path]:
    """Yield the folders of a path that do not exist, the deepest first."""
    path = Path(text.partition("${")[0]).absolute()
    try:
        yield from (folder for folder in (path, *path.parents) if not folder.exists())
    except (OSError, ValueError):
        return  # no folder can have this name


def _job_frame(error: Exception) -> FrameType | None:
    """Return the frame of Hydra's `run_job`, the only place that knows the folder of the job."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return next((frame for frame in frames if frame.f_code.co_name == "run_job"), None)


def _empty_job_folder(job: FrameType, created: list[Path]) -> None:
    """Remove what Hydra wrote into the folder of a job, and the folder if it is empty."""
    names = job.f_locals
    if not {"output_dir", "old_cwd", "config"} <= set(names):
        return
    start, hydra = Path(names["old_cwd"]), names["config"].hydra
    folder = start / names["output_dir"]
    subdir = Path(str(hydra.output_subdir)).parts[:1]
    with contextlib.suppress(Exception):  # a name in the config may be what was refused
        name = f"{hydra.job.name}.log"
        subdir = (*subdir, name)
    if folder.is_dir():
        with contextlib.suppress(ConfigError), alone_in(folder):  # or it is that of another run
            remove_written(folder, set(subdir), start, created)


def remove_written(
    folder: Path, written_by_hydra: set[str], start: Path, created: Sequence[Path] = ()
) -> None:
    """Remove the files that Hydra wrote for a run that did not start, and its empty folders.

    Other files in the folder may be the record of another run; nothing is removed then. An empty
    folder stays if it may have existed before the command: if it is neither below `outputs/` of the
    folder `start`, nor one of `created`, nor one that this run created.
    """
    if {path.name for path in folder.iterdir()} - written_by_hydra:
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for parent in (folder, *folder.parents):
        is_new = parent in created or parent in _of_this_run
        removable = is_new or parent.is_relative_to(start / OUTPUTS)
        if not removable or any(parent.iterdir()):
            return
        parent.rmdir()
