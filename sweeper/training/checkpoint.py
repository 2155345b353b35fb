"""Checkpoints: files of state dicts, written atomically and read without executing pickled code."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import nn

from sweeper import trial
from sweeper.errors import CheckpointError
from sweeper.files import link_or_copy, reason_of, replacing
from sweeper.losses import Adapter
from sweeper.training.callback import Callback
from sweeper.training.checkpoint_file import (
    checkpoint_bytes,
    load_checked,
    read_checked,
    write_checkpoint,
)
from sweeper.training.experiment import Experiment
from sweeper.training.seeding import rng_state, set_rng_state
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

FORMAT = 3
"""The version of a checkpoint's layout."""

UNWRITTEN = "%s cannot be written (%s); the run goes on and tries again after the next epoch"


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
        content = read_checked(path)
    except Exception as error:  # torch.load lets errors of many types through
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of sweeper (format {FORMAT})")
    return content


def checkpoint_in(path: Path, name: str) -> Path:
    """Return the checkpoint of this name in the folder of a run or a study, or a file's own path.

    Of a study it is that of the best trial. A folder without a checkpoint is returned as it is.
    """
    path = path.expanduser()
    if not path.is_dir():
        return path
    inside = (path / name, path / "checkpoints" / name, path / "best" / "checkpoints" / name)
    return next((file for file in inside if file.is_file()), path)


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

    A trial that is taken up again resumes from a checkpoint of its earlier attempt: from `last.pt`,
    or from `best.pt` if `last.pt` is damaged. If both are, the trial starts as its first attempt
    did, because it would otherwise fail at every attempt.
    """
    start = None if resume is None else checkpoint_in(Path(resume), "last.pt")
    info = trial.info()
    if info is None or info.resume_folder is None:
        return start
    damage: str | None = None
    for name in ("last.pt", "best.pt"):
        path = info.resume_folder / "checkpoints" / name
        if not path.is_file():
            continue
        problem = _problem_of(path)
        if problem is None:
            if damage is not None:
                log.warning("%s; the trial goes on from %s, an older state", damage, name)
            return path
        damage = damage or problem
    if damage is not None:
        log.warning("%s; the trial starts again from its first epoch", damage)
    return start


def _problem_of(path: Path) -> str | None:
    """Return why no run can resume from the checkpoint at `path`, or None if one can."""
    try:
        content = read_checkpoint(path)
        _require_parts(content, path)
        wanted = content["identity"]
        state = RunState(0, 0, wanted["metric"], wanted["direction"])
        state.load_state_dict(content["state"])
        best_checkpoint(path, state)
    except CheckpointError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        return f"{path} is damaged"
    return None


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


def best_checkpoint(last: Path, state: RunState) -> Path | None:
    """Return the path of the best checkpoint of the run that wrote `last`.

    None is returned before the end of the first epoch.

    Raises:
        CheckpointError: `last` is not the best, and `best.pt` in its folder is missing, damaged or
            of another epoch.
    """
    if state.best_epoch is None:
        return None
    if state.improved and state.batch == 0:
        return last  # a run that was killed just now may have left the best.pt of an older epoch
    best = last.parent / "best.pt"
    if not best.is_file():
        raise CheckpointError(f"{best} is missing: put the run's best.pt beside {last.name}")
    require_best(read_checkpoint(best), best, state)
    return best


def _require_parts(content: Mapping[str, Any], path: Path) -> None:
    """Check that a checkpoint has what a run resumes from.

    Raises:
        CheckpointError: a part is missing, or its kind is wrong.
    """
    parts = ("identity", "state", "model", "criterion", "updates", "rng", "run")
    for name in parts:
        if not isinstance(content.get(name), Mapping):
            raise CheckpointError(f"{path} is damaged: it has no {name}")
    if not isinstance(content["state"].get("history"), list):
        raise CheckpointError(f"{path} is damaged: it has no history")


def require_best(content: Mapping[str, Any], path: Path, state: RunState) -> None:
    """Check that the checkpoint at `path` is that of the best epoch of the run.

    Raises:
        CheckpointError: it is of another epoch or of another run.
    """
    _require_parts(content, path)
    history = content["state"]["history"]
    saved = history[-1].get(state.metric) if history else None
    best = state.best_value
    same_value = saved == best or (saved != saved and best != best)  # both may be nan
    if (len(history), content["state"]["batch"]) != (state.best_epoch, 0) or not same_value:
        raise CheckpointError(
            f"{path} is of epoch {len(history)}, and the run's best epoch is {state.best_epoch}: "
            "put the run's own best.pt there"
        )


@dataclass
class CheckpointStore:
    """The checkpoints of a run: `last.pt`, and `best.pt` of the best epoch.

    A best checkpoint that cannot be written, such as on a full disk, is kept in memory, so that the
    run never evaluates an older one in its place.
    """

    folder: Path
    config: str
    """The resolved config as YAML; every checkpoint holds it."""
    _unwritten_best: bytes | None = field(default=None, init=False, repr=False)

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    def save(self, experiment: Experiment, state: RunState) -> None:
        """Write `last.pt`, and `best.pt` if the last finished epoch is the best so far.

        Raises:
            OSError: a file cannot be written; it is as it was before.
        """
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
        is_best = state.improved and state.batch == 0
        try:
            if not is_best:
                self.write_best()
            self.folder.mkdir(parents=True, exist_ok=True)
            write_checkpoint(self.last, content)
            if is_best:
                link_or_copy(self.last, self.best)
                self._unwritten_best = None
        except OSError:
            if is_best:
                self._unwritten_best = checkpoint_bytes(content)
            raise

    def write_best(self) -> None:
        """Write `best.pt` if it could not be written before.

        Raises:
            OSError: it still cannot be written.
        """
        if self._unwritten_best is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.best) as partial:
            partial.write_bytes(self._unwritten_best)
        self._unwritten_best = None

    @property
    def has_best(self) -> bool:
        """True if `best.pt` is that of the best epoch, and not of an older one."""
        return self._unwritten_best is None and self.best.is_file()

    def resume(self, path: Path, experiment: Experiment, state: RunState) -> dict[str, Any]:
        """Load the checkpoint at `path` into the experiment and the state; return its content.

        Raises:
            CheckpointError: the checkpoint is missing, damaged or of another experiment, or its
                `best.pt` is missing.
        """
        content = read_checkpoint(path)
        _require_parts(content, path)
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
        best_checkpoint(path, state)
        if content["state"]["meter"] is not None:
            state.meter = experiment.adapter.meter(experiment.device)
            state.meter.load_state_dict(content["state"]["meter"])
        set_rng_state(content["rng"])
        return content

    def copy_best_from(self, resumed_from: Path, state: RunState) -> None:
        """Copy `best.pt` from the folder of the checkpoint that the run was resumed from."""
        source = best_checkpoint(resumed_from, state)
        if source is None or source.resolve() == self.best.resolve():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            link_or_copy(source.resolve(), self.best)
        except OSError as error:
            log.warning(UNWRITTEN, self.folder, reason_of(error))
            self._unwritten_best = source.read_bytes()

    def load_best(self, experiment: Experiment, state: RunState) -> None:
        """Load the best network: the trained one, the averaged one if there is one, and the loss.

        Raises:
            CheckpointError: `best.pt` is missing, damaged, or not that of the best epoch.
        """
        if self._unwritten_best is not None:
            content = load_checked(BytesIO(self._unwritten_best))
        else:
            content = read_checkpoint(self.best)
        require_best(content, self.best, state)
        load_weights(experiment.model, content["model"], self.best)
        load_adapter(experiment.adapter, content["criterion"], self.best)
        experiment.updates.load_state_dict(content["updates"])


class SaveCheckpoints(Callback):
    """Callback that saves a checkpoint after every epoch and when the run is interrupted.

    If it cannot be written, such as on a full disk, the run goes on and tries again after the next
    epoch.
    """

    def __init__(self, store: CheckpointStore, experiment: Experiment) -> None:
        self._store = store
        self._experiment = experiment
        self._failed = False

    def on_epoch_end(self, state: RunState) -> None:
        self._save(state)

    def on_fit_end(self, state: RunState) -> None:
        if state.interrupted:
            self._save(state)

    def _save(self, state: RunState) -> None:
        if trial.stop_reason() == "lost":
            return  # the files belong to the worker that has taken the trial over
        try:
            self._store.save(self._experiment, state)
        except OSError as error:
            if not self._failed:
                log.warning(UNWRITTEN, self._store.folder, reason_of(error))
            self._failed = True
            return
        if self._failed:
            log.info("%s is written again, after epoch %d", self._store.folder, state.epoch)
        self._failed = False
