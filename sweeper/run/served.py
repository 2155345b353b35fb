"""The network of a checkpoint as a module that others can serve: images in, probabilities out."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from sweeper.cli.waiting import waiting_for
from sweeper.errors import CheckpointError, TrainingError
from sweeper.files import reason_of
from sweeper.run.restore import Restored, restore
from sweeper.run.trust import targets_in
from sweeper.tracking.tracker import BuildModel, ServedModel
from sweeper.training.checkpoint_store import CheckpointStore
from sweeper.training.experiment import Experiment
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

EXAMPLES = 2
"""The number of example images. With one image, torch would fix the size of a batch to one."""


class Served(nn.Module):
    """The steps from the images of a data set to the predictions for them, as `predict` takes them.

    images: (N, C, H, W) uint8, decoded images that have one size. Resizing, the transforms of
    evaluation and normalisation are part of this module.

    Returns (N, K) float32, the probabilities of the classes. For strings, it returns
    (N, T, K + 1) float32, the log-probabilities of the classes and the blank at each time step.
    """

    def __init__(self, restored: Restored) -> None:
        super().__init__()
        self.network = restored.classifier.model
        self.adapter = restored.classifier.adapter
        self._pipeline = restored.pipeline.behind_sizing()
        self._autocast = restored.classifier.autocast
        self._is_sequence = restored.profile.label_type == "sequence"
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        pixels = self._pipeline(images)
        with self._autocast():
            outputs = self.network(pixels)
        if self._is_sequence:
            return outputs.float().log_softmax(dim=2)  # type: ignore[no-any-return]
        return self.adapter.probabilities(outputs)


def network_to_record(
    experiment: Experiment, state: RunState, store: CheckpointStore
) -> BuildModel | None:
    """Return what builds the best network for the tracker.

    Return None if the tracker wants no model, and, with a warning, if `best.pt` is not written.

    Args:
        store: The checkpoints of the run. Another process may have written the best one, so it may
            call nothing but what sweeper ships and what the config of this run calls.
    """
    if not experiment.tracker.wants_model or state.best_epoch is None:
        return None
    if not store.has_best:
        log.warning("the network is not recorded as a model, since %s is not written", store.best)
        return None
    trusted = list(targets_in(OmegaConf.to_container(OmegaConf.create(store.config))))
    checkpoint, precision = store.best.absolute(), experiment.trainer.precision
    return partial(served_model, checkpoint, precision, trusted, state.best_epoch)


def record_model(
    experiment: Experiment,
    state: RunState,
    build: BuildModel | None,
    test_scores: Mapping[str, float],
) -> None:
    """Let the tracker record the best network as a model.

    Args:
        build: What `network_to_record` has returned; nothing is recorded if it is None.
        test_scores: The metrics of the network on the test split, as they were logged.

    Raises:
        TrainingError: the record cannot be stored, such as on a full disk.
    """
    if build is None or state.best_epoch is None:
        return
    waiting_for("recording the network as a model")
    best = state.history[state.best_epoch - 1]
    metrics = {name: value for name, value in best.items() if name.startswith("val/")}
    try:
        experiment.tracker.log_model(build, metrics | dict(test_scores), state.best_epoch)
    except OSError as error:
        reason = reason_of(error)
        raise TrainingError(f"the network cannot be recorded as a model: {reason}") from error


def served_model(
    checkpoint: Path, precision: str, trusted: Sequence[str] = (), epoch: int | None = None
) -> ServedModel:
    """Return the network of a checkpoint, on the CPU.

    precision: that of the run. A CPU computes in fp32 what was trained in fp16 on a GPU.
    trusted: what the checkpoint's config may call beside what sweeper ships.
    epoch: that of the network, if it is known.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another epoch.
        ConfigError: its config calls what is not trusted.
    """
    overrides = ["trainer.device=cpu"]
    overrides += ["trainer.precision=fp32"] if precision == "fp16" else []
    restored = restore(checkpoint, overrides, trusted)
    if epoch not in (None, restored.epoch):
        raise CheckpointError(f"{checkpoint} is of epoch {restored.epoch}, not of epoch {epoch}")
    shape = (EXAMPLES, *_input_shape(restored))
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = torch.from_numpy(levels)
    return ServedModel(Served(restored), images, _description(restored))


def _input_shape(restored: Restored) -> tuple[int, ...]:
    """Return the shape (C, H, W) of the images that the module takes."""
    shape = restored.profile.image_shape
    if not restored.pipeline.takes_photographs:
        return shape
    photograph = torch.zeros(shape, dtype=torch.uint8)
    return tuple(restored.pipeline.steps[0]([photograph]).shape[1:])


def _description(restored: Restored) -> dict[str, Any]:
    profile = restored.profile
    meaning = "probabilities of the classes, (N, K) float32"
    if profile.label_type == "sequence":
        meaning = "log-probabilities of the classes and the blank by time step, (N, T, K+1) float32"
    return {
        "input": "images (N, C, H, W) uint8, from 0 to 255; they are normalised by the model",
        "output": meaning,
        "classes": list(profile.classes),
        "label_type": profile.label_type,
        "epoch": restored.epoch,
    }
