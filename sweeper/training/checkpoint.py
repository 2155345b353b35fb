"""Checkpoints: state dicts in one file, written atomically and read without unpickling code."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sweeper import trial
from sweeper.errors import CheckpointError
from sweeper.files import link_or_copy, replacing
from sweeper.losses import Adapter
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.seeding import rng_state, set_rng_state
from sweeper.training.state import RunState

FORMAT = 3


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint so that `path` holds either the old one or the whole new one."""
    with replacing(path) as partial:
        torch.save(dict(content), partial)


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


def kept_weights(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network that a run kept: the averaged one where weights were averaged."""
    averaged = content["updates"]["ema"]
    if averaged is None:
        return dict(content["model"])
    prefix = "module."  # beside the network, an AveragedModel counts its updates
    return {n.removeprefix(prefix): v for n, v in averaged.items() if n.startswith(prefix)}


def resumed_checkpoint(resume: str | None) -> Path | None:
    """Return the checkpoint asked for, or the one that a former attempt at the trial left."""
    if resume is not None:
        return Path(resume)
    info = trial.info()
    if info is None or info.resume_folder is None:
        return None
    left = info.resume_folder / "checkpoints/last.pt"
    return left if left.is_file() else None


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


def load_adapter(adapter: Adapter, state: Mapping[str, Any], path: Path) -> None:
    """Load what a loss has learned or was given, such as class means and class weights.

    Raises:
        CheckpointError: it is of another loss.
    """
    try:
        adapter.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} is of another loss: give the overrides that it was trained with"
        ) from error


def identity(experiment: Experiment, state: RunState) -> dict[str, Any]:
    """Return what must be the same for one run to go on from another."""
    return {
        "seed": experiment.settings.seed,
        "metric": state.metric,
        "direction": state.direction,
        "loss": _described(experiment.adapter),
        "data": experiment.data.digest,
        "images of each split": experiment.data.sizes,
        "batches an epoch": state.steps_per_epoch,
        "horizon of the schedule": experiment.updates.schedule.horizon,
        "frozen": experiment.trainer.freeze or None,
        "trainer.unfreeze_at": experiment.trainer.unfreeze_at,
        # The first pattern that fits counts, so their order matters.
        "trainer.lr_scale": list(experiment.trainer.lr_scale.items()) or None,
    }


def _described(adapter: Adapter) -> str:
    """What a loss is and was given, in words."""
    own = adapter.criterion
    given: dict[str, Any] = {name: value.tolist() for name, value in own.named_buffers()}
    given |= {
        name: value
        for name, value in vars(own).items()
        if isinstance(value, int | float | str) and not name.startswith("_") and name != "training"
    }
    arguments = ", ".join(f"{name}={given[name]}" for name in sorted(given))
    return f"{type(own).__name__}({arguments})"


def require_identity(here: Mapping[str, Any], there: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError for the first difference between two experiments."""
    for name, value in here.items():
        if there.get(name) != value:
            raise CheckpointError(
                f"{path} is of another experiment: {name} is {there.get(name)} there and {value} "
                "here; give the overrides that it was trained with"
            )


def best_beside(last: Path, state: RunState) -> Path:
    """Return where the best network is that belongs to the checkpoint `last`.

    Raises:
        CheckpointError: it is not there, and `last` itself is of another epoch.
    """
    best = last.parent / "best.pt"
    if best.is_file():
        return best
    if state.improved and state.batch == 0:
        return last
    raise CheckpointError(f"{best} is missing: keep the best network beside {last.name}")


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run: `last.pt`, and `best.pt` by the monitored metric."""

    folder: Path
    config: str
    """The resolved config as YAML, so that a checkpoint knows what it is of."""

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
            "data": experiment.data.profile.state_dict(),
            "identity": identity(experiment, state),
            "run": {"id": experiment.tracker.run_id, "uri": experiment.tracker.uri},
            "state": state.state_dict(),
            "model": experiment.model.state_dict(),
            "criterion": experiment.adapter.state_dict(),
            "updates": experiment.updates.state_dict(),
            "rng": rng_state(),
        }
        write_checkpoint(self.last, content)
        if state.improved and state.batch == 0:
            link_or_copy(self.last, self.best)

    def resume(self, path: Path, experiment: Experiment, state: RunState) -> dict[str, Any]:
        """Go on where the checkpoint at `path` stands, with its best network beside it.

        Returns the content of the checkpoint.

        Raises:
            CheckpointError: it is missing, damaged, or of another experiment.
        """
        content = read_checkpoint(path)
        require_identity(identity(experiment, state), content["identity"], path)
        load_weights(experiment.model, content["model"], path)
        load_adapter(experiment.adapter, content["criterion"], path)
        try:
            experiment.updates.load_state_dict(content["updates"])
            state.load_state_dict(content["state"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} is of another optimizer or scheduler ({error}): "
                "give the overrides that it was trained with"
            ) from error
        if state.best_epoch is not None:
            best_beside(path, state)
        if content["state"]["meter"] is not None:
            state.meter = experiment.adapter.meter(experiment.device)
            state.meter.load_state_dict(content["state"]["meter"])
        set_rng_state(content["rng"])
        return content

    def take_best_from(self, resumed: Path, state: RunState) -> None:
        """Copy the best network beside the checkpoint that a run was resumed from."""
        if state.best_epoch is None:
            return
        source = best_beside(resumed, state)
        self.folder.mkdir(parents=True, exist_ok=True)
        if source.resolve() != self.best.resolve():
            with replacing(self.best) as partial:
                shutil.copyfile(source, partial)

    def load_best(self, experiment: Experiment) -> None:
        """Load the best network, the averaged one where weights were averaged."""
        content = read_checkpoint(self.best)
        load_weights(experiment.model, content["model"], self.best)
        load_adapter(experiment.adapter, content["criterion"], self.best)
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
