"""Checkpoints: state dicts in one file, written atomically and read without unpickling code."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sweeper.errors import CheckpointError
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.seeding import rng_state, set_rng_state
from sweeper.training.state import RunState

FORMAT = 1


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint so that `path` holds either the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(dict(content), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        CheckpointError: there is none, or it is damaged or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(
            f"No checkpoint at {path}: give the path of a run's checkpoints/last.pt"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers happen to meet
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of sweeper (format {FORMAT})")
    return content


def load_weights(model: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Load the weights of a checkpoint.

    Raises:
        CheckpointError: they are of another model, with the first difference named.
    """
    own = model.state_dict()
    for name in [*own, *weights]:
        here = tuple(own[name].shape) if name in own else None
        there = tuple(weights[name].shape) if name in weights else None
        if here != there:
            raise CheckpointError(
                f"{path} is of another model: {name} is {there or 'missing'} there and "
                f"{here or 'missing'} here; give the overrides that it was trained with"
            )
    model.load_state_dict(weights)


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run: `last.pt`, and `best.pt` by the monitored metric."""

    folder: Path
    config: str
    """The resolved config as YAML, so that a checkpoint knows what it is of."""
    tracker: Tracker
    """Asked for the name of the tracked run, which a resumed run continues."""

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    def save(self, experiment: Experiment, state: RunState) -> None:
        """Write `last.pt`, and `best.pt` when the last finished epoch was the best."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "config": self.config,
            "run_id": self.tracker.run_id,
            "state": state.state_dict(),
            "model": experiment.model.state_dict(),
            "updates": experiment.updates.state_dict(),
            "rng": rng_state(),
        }
        write_checkpoint(self.last, content)
        if state.improved and state.batch == 0:
            self._link_best()

    def _link_best(self) -> None:
        # A hard link costs nothing, and last.pt is only ever replaced, never written into.
        partial = self.folder / f".best.pt.{os.getpid()}"
        partial.unlink(missing_ok=True)
        try:
            os.link(self.last, partial)
        except OSError:  # a file system without hard links
            shutil.copyfile(self.last, partial)
        partial.replace(self.best)

    def resume(self, path: Path, experiment: Experiment, state: RunState) -> dict[str, Any]:
        """Go on where the checkpoint at `path` stands, with its best network beside it.

        Returns the content of the checkpoint.

        Raises:
            CheckpointError: it is missing, damaged, of another model, or of another schedule.
        """
        content = read_checkpoint(path)
        load_weights(experiment.model, content["model"], path)
        try:
            experiment.updates.load_state_dict(content["updates"])
            state.load_state_dict(content["state"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} is of another optimizer, scheduler or metric ({error}): "
                "give the overrides that it was trained with"
            ) from error
        if content["state"]["meter"] is not None:
            state.meter = experiment.criterion.meter(experiment.device)
            state.meter.load_state_dict(content["state"]["meter"])
        self._take_best_from(path.parent / "best.pt", path)
        set_rng_state(content["rng"])
        return content

    def _take_best_from(self, best: Path, fallback: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        source = best if best.is_file() else fallback
        if source.resolve() != self.best.resolve():
            shutil.copyfile(source, self.best)

    def load_best(self, experiment: Experiment) -> None:
        """Load the best network, the averaged one where weights were averaged."""
        content = read_checkpoint(self.best)
        load_weights(experiment.model, content["model"], self.best)
        experiment.updates.load_state_dict(content["updates"])


class SaveCheckpoints(Callback):
    """Saves after every epoch, and where an interrupted run stands."""

    def __init__(self, store: CheckpointStore, experiment: Experiment) -> None:
        self._store = store
        self._experiment = experiment

    def on_epoch_end(self, state: RunState) -> None:
        self._store.save(self._experiment, state)

    def on_fit_end(self, state: RunState) -> None:
        if state.interrupted:
            self._store.save(self._experiment, state)
