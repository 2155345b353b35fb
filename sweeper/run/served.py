"""The network of a checkpoint as a module that others can serve: images in, probabilities out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.run.restore import Restored, restore_own

EXAMPLES = 2
"""The number of example images. With one image, torch would fix the size of a batch to one."""


@dataclass(frozen=True)
class Serving:
    """A network on the CPU that needs no code of sweeper once it is exported.

    images: (2, C, H, W) uint8, an example of what the network takes.
    description: the meaning of input and output, and the names of the classes, as JSON.
    """

    network: nn.Module
    images: Tensor
    description: dict[str, Any]


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


def serving_of(checkpoint: Path, precision: str) -> Serving:
    """Return the network of a checkpoint that this process has written, on the CPU.

    precision: that of the run. A CPU computes in fp32 what was trained in fp16 on a GPU.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    overrides = ["trainer.device=cpu"]
    overrides += ["trainer.precision=fp32"] if precision == "fp16" else []
    restored = restore_own(checkpoint, overrides)
    shape = (EXAMPLES, *_input_shape(restored))
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Serving(Served(restored), torch.from_numpy(levels), _description(restored))


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
