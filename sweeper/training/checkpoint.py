"""Checkpoints: files of state dicts, written atomically and read without executing pickled code."""

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
"""The version of a checkpoint's layout."""


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically: `path` holds the old content or all of the new content."""
    with replacing(path) as partial:
        torch.save(dict(content), partial)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, with all tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint of sweeper.
    """
    if not path.is_file():
        raise CheckpointError(
            f"No checkpoint at {path}: type the path of a run's checkpoints/best.pt or last.pt"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load lets errors of many types through
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of sweeper (format {FORMAT})")
    return content


def eval_weights(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict of the network that a run evaluated.

    This is the averaged network if the run averaged its weights (`trainer.ema_decay`), else the
    trained one.
    """
    averaged = content["updates"]["ema"]
    if averaged is None:
        return dict(content["model"])
    prefix = "module."  # entries without it are AveragedModel's own, such as its update counter
    return {n.removeprefix(prefix): v for n, v in averaged.items() if n.startswith(prefix)}


def checkpoint_to_resume(resume: str | None) -> Path | None:
    """Return the path of the checkpoint to resume from, or None for a run that starts anew.

    Without a path in `resume`, a retried trial resumes from the checkpoint of its earlier attempt.
    """
    if resume is not None:
        return Path(resume)
    info = trial.info()
    if info is None or info.resume_folder is None:
        return None
    last = info.resume_folder / "checkpoints/last.pt"
    return last if last.is_file() else None


def load_weights(model: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Load the weights of the checkpoint at `path` into the model.

    Raises:
        CheckpointError: the weights belong to another model; the message names one difference.
    """
    own = model.state_dict()
    for name in [*own, *weights]:
        shape = tuple(own[name].shape) if name in own else None
        saved_shape = tuple(weights[name].shape) if name in weights else None
        if shape != saved_shape:
            raise CheckpointError(
                f"{path} is of another model: {name} is {saved_shape or 'missing'} in the "
                f"checkpoint and {shape or 'missing'} in the network; type the overrides of the "
                "checkpoint's run"
            )
    model.load_state_dict(weights)


def load_adapter(adapter: Adapter, state: Mapping[str, Any], path: Path) -> None:
    """Load the state of the loss of the checkpoint at `path`: class means and class weights.

    Raises:
        CheckpointError: the state belongs to another loss.
    """
    try:
        adapter.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} is of another loss: type the overrides of the checkpoint's run"
        ) from error


def identity(experiment: Experiment, state: RunState) -> dict[str, Any]:
    """Return the values that a run and the checkpoint that it resumes from must have in common."""
    return {
        "seed": experiment.settings.seed,
        "metric": state.metric,
        "direction": state.direction,
        "loss": _criterion_text(experiment.adapter),
        "data": experiment.data.digest,
        "images of each split": experiment.data.sizes,
        "batches an epoch": state.steps_per_epoch,
        "horizon of the schedule": experiment.updates.schedule.horizon,
        "frozen": experiment.trainer.freeze or None,
        "trainer.unfreeze_at": experiment.trainer.unfreeze_at,
        # The first pattern that matches a parameter sets its factor, so the order matters.
        "trainer.lr_scale": list(experiment.trainer.lr_scale.items()) or None,
    }


def _criterion_text(adapter: Adapter) -> str:
    """Return the criterion's class with its arguments, such as `MSELoss(reduction=mean)`."""
    criterion = adapter.criterion
    values: dict[str, Any] = {name: value.tolist() for name, value in criterion.named_buffers()}
    values |= {
        name: value
        for name, value in vars(criterion).items()
        if isinstance(value, int | float | str) and not name.startswith("_") and name != "training"
    }
    arguments = ", ".join(f"{name}={values[name]}" for name in sorted(values))
    return f"{type(criterion).__name__}({arguments})"


def require_identity(current: Mapping[str, Any], saved: Mapping[str, Any], path: Path) -> None:
    """Check that a run has the identity of the checkpoint at `path`.

    Raises:
        CheckpointError: a value differs; the message names the first one.
    """
    for name, value in current.items():
        if saved.get(name) != value:
            raise CheckpointError(
                f"{path} is of another experiment: {name} is {saved.get(name)} in the checkpoint "
                f"and {value} in this run; type the overrides of the checkpoint's run"
            )


def best_checkpoint(last: Path, state: RunState) -> Path:
    """Return the path of the best checkpoint of the run that wrote `last`.

    Raises:
        CheckpointError: `best.pt` is not in the folder of `last`, and `last` is not the best.
    """
    best = last.parent / "best.pt"
    if best.is_file():
        return best
    if state.improved and state.batch == 0:
        return last
    raise CheckpointError(f"{best} is missing: put the run's best.pt beside {last.name}")


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of a run: `last.pt`, and `best.pt` of the best epoch."""

    folder: Path
    config: str
    """The resolved config as YAML; every checkpoint holds it."""

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    def save(self, experiment: Experiment, state: RunState) -> None:
        """Write `last.pt`, and `best.pt` if the last finished epoch is the best so far."""
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
        """Load the checkpoint at `path` into the experiment and the state; return its content.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another experiment, or its
                `best.pt` is missing.
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
                "type the overrides of the checkpoint's run"
            ) from error
        if state.best_epoch is not None:
            best_checkpoint(path, state)
        if content["state"]["meter"] is not None:
            state.meter = experiment.adapter.meter(experiment.device)
            state.meter.load_state_dict(content["state"]["meter"])
        set_rng_state(content["rng"])
        return content

    def copy_best_from(self, resumed_from: Path, state: RunState) -> None:
        """Copy `best.pt` from the folder of the checkpoint that the run was resumed from."""
        if state.best_epoch is None:
            return
        source = best_checkpoint(resumed_from, state)
        self.folder.mkdir(parents=True, exist_ok=True)
        if source.resolve() != self.best.resolve():
            link_or_copy(source.resolve(), self.best)

    def load_best(self, experiment: Experiment) -> None:
        """Load `best.pt`: the trained network, the averaged one if there is one, and the loss."""
        content = read_checkpoint(self.best)
        load_weights(experiment.model, content["model"], self.best)
        load_adapter(experiment.adapter, content["criterion"], self.best)
        experiment.updates.load_state_dict(content["updates"])


class SaveCheckpoints(Callback):
    """Callback that saves a checkpoint after every epoch and when the run is interrupted."""

    def __init__(self, store: CheckpointStore, experiment: Experiment) -> None:
        self._store = store
        self._experiment = experiment

    def on_epoch_end(self, state: RunState) -> None:
        self._store.save(self._experiment, state)

    def on_fit_end(self, state: RunState) -> None:
        if state.interrupted:
            self._store.save(self._experiment, state)
