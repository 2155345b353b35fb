"""The normalisation constants, and their use on a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeper.data.cache import Stored
from sweeper.data.pipeline import apply
from sweeper.data.source import Indices, Transform
from sweeper.data.statistics import Statistics, chunks_of, measure, training_statistics
from sweeper.errors import ConfigError


def statistics_for(
    train: Stored,
    fit: Indices,
    eval_steps: Sequence[Transform],
    channels: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Statistics:
    """The given constants, or those of the images `fit` of the training split.

    ConfigError when there is not one given constant for each of the `channels`.
    """
    for key, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != channels:
            raise ConfigError(
                f"data.{key}={list(values)}: expected {channels} values, one for each channel of "
                f"the images, or data.{key}=null to measure them"
            )
    if mean is not None and std is not None:
        return Statistics(tuple(mean), tuple(std))
    if train.images.shape[1] == channels:
        measured = training_statistics(train, fit)
    else:  # a transform such as Grayscale changed the channels
        measured = measure(_transformed(train, fit, eval_steps))
    return Statistics(tuple(mean or measured.mean), tuple(std or measured.std))


def _transformed(
    train: Stored, fit: Indices, eval_steps: Sequence[Transform]
) -> Iterator[NDArray[np.uint8]]:
    for chunk in chunks_of(train, fit):
        images = apply(eval_steps, torch.from_numpy(chunk))
        levels = (images * 255).round() if images.is_floating_point() else images
        yield levels.to(torch.uint8).numpy()


class Normalise:
    """(pixel / 255 - mean) / std as float32, in the memory format asked for.

    Subtracting and multiplying in place, with constants as large as one image and laid out like
    it, is the fastest form on a CPU: broadcast over channels_last it takes four times as long.
    """

    def __init__(
        self,
        statistics: Statistics,
        shape: Sequence[int],
        device: torch.device,
        channels_last: bool,
    ) -> None:
        self._shape = tuple(shape)
        self._device = device
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._offset = self._constant([255 * mean for mean in statistics.mean])
        self._scale = self._constant([1 / (255 * std) for std in statistics.std])

    def _constant(self, values: Sequence[float]) -> Tensor:
        image = torch.tensor(values, device=self._device).view(1, -1, 1, 1).expand(1, *self._shape)
        return image.contiguous(memory_format=self._format)

    def __call__(self, images: Tensor) -> Tensor:
        """`images`: (B, C, H, W), uint8 or, after a transform's ToDtype, float in 0..1."""
        if images.is_floating_point():
            images = images * 255
        pixels = images.to(torch.float32, memory_format=self._format)
        return pixels.sub_(self._offset).mul_(self._scale)
