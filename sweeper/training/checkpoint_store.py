"""The checkpoints that a run writes: the last one, and that of its best epoch."""

import logging
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from sweeper import trial
from sweeper.errors import CheckpointError
from sweeper.files import link_or_copy, reason_of, replacing
from sweeper.training.callback import Callback
from sweeper.training.checkpoint import FORMAT, load_adapter, load_weights, read_checkpoint
from sweeper.training.checkpoint_file import checkpoint_bytes, load_checked, write_checkpoint
from sweeper.training.experiment import Experiment
from sweeper.training.resumption import (
    REMEDY,
    best_checkpoint,
    identity,
    require_best,
    require_identity,
    require_parts,
)
from sweeper.training.seeding import rng_state, set_rng_state
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

UNWRITTEN = "%s cannot be written (%s); the run goes on and tries again after the next epoch"


@dataclass
class CheckpointStore:
    """The checkpoints of a run: `last.pt`, and `best.pt` of the best epoch.

    After a best epoch the two are one file, so damage takes both. A power cut can damage what was
    written in the seconds before it, since no epoch waits for the disk.

    A best checkpoint that cannot be written, such as on a full disk, is kept in memory, so that the
    run never evaluates an older one in its place.
    """

    folder: Path
    config: str
    """The resolved config as YAML; every checkpoint holds it."""
    saved: tuple[int, int] | None = field(default=None, init=False)
    """The epochs, and the batches of the next one, in `last.pt`; None if it is of another run."""
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
            self.saved = state.epoch, state.batch
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
            CheckpointError: the checkpoint is missing, damaged or of another experiment, its
                `best.pt` is missing, or it has more epochs than the run.
        """
        content = read_checkpoint(path)
        require_parts(content, path)
        require_identity(experiment, state, content["identity"], path)
        load_weights(experiment.model, content["model"], path)
        load_adapter(experiment.adapter, content["criterion"], path)
        try:
            experiment.updates.load_state_dict(content["updates"])
            state.load_state_dict(content["state"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} is of another optimizer or scheduler ({error}): {REMEDY}"
            ) from error
        if state.epoch > state.epochs:
            raise CheckpointError(
                f"trainer.epochs={state.epochs}: {path} has {state.epoch} epochs already; type "
                f"trainer.epochs={state.epoch} or more"
            )
        best_checkpoint(path, state)
        if content["state"]["meter"] is not None:
            state.meter = experiment.adapter.meter(experiment.device)
            state.meter.load_state_dict(content["state"]["meter"])
        set_rng_state(content["rng"])
        if path.resolve() == self.last.resolve():
            self.saved = state.epoch, state.batch
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
