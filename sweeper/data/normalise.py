"""The normalisation of a batch, and the choice of its mean and standard deviation."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweeper.data.batches import Streaming
from sweeper.data.cache import OpenSplit
from sweeper.data.pipeline import InputSteps, apply_steps
from sweeper.data.source import Images, Indices, SizedImages, Transform
from sweeper.data.statistics import Statistics, chunks_of, measure, training_statistics
from sweeper.errors import ConfigError

CHUNK_OF_PHOTOGRAPHS = 64
"""Photographs that are read at a time."""


def statistics_for(
    train: OpenSplit,
    indices: Indices,
    steps: InputSteps,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Statistics:
    """Return the mean and std from the config, or measure them on training images.

    `indices` are the training images to measure on.

    Raises:
        ConfigError: `mean` or `std` has other than one value a channel.
    """
    channels = steps.input_shape[0]
    for key, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != channels:
            raise ConfigError(
                f"data.{key}={list(values)}: expected {channels} values, one for each channel of "
                f"the images; type data.{key}=null to measure them"
            )
    if mean is not None and std is not None:
        return Statistics(tuple(mean), tuple(std))
    images = train.images
    if not isinstance(images, Images):
        # Measured as the network sees them, or a large photograph would count more than others.
        after = _photographs_after(steps.evaluation, images, indices)
        measured = training_statistics(train, indices, after, steps.evaluation_name)
    elif images.shape[1] == channels:
        measured = training_statistics(train, indices)
    else:  # a transform such as Grayscale changed the channels
        chunks = (torch.from_numpy(chunk) for chunk in chunks_of(images, indices))
        measured = measure(_levels_after(steps.evaluation, chunk) for chunk in chunks)
    return Statistics(tuple(mean or measured.mean), tuple(std or measured.std))


def _photographs_after(
    steps: Sequence[Transform], photographs: SizedImages, indices: Indices
) -> Iterator[NDArray[np.uint8]]:
    """Yield chunks (n, C, H, W) uint8 of the photographs after the steps."""
    streaming = Streaming(photographs, photographs.sizes, torch.device("cpu"), False, 0)
    for chunk, _ in streaming.batches(indices, CHUNK_OF_PHOTOGRAPHS):
        yield _levels_after(steps, chunk)


def _levels_after(steps: Sequence[Transform], images: Tensor | list[Tensor]) -> NDArray[np.uint8]:
    """Return the images (n, C, H, W) uint8 after the steps."""
    images = apply_steps(steps, images)
    levels = (images * 255).round() if images.is_floating_point() else images
    return levels.to("cpu", torch.uint8).numpy()


class Normalise:
    """The function (pixel / 255 - mean) / std, in float32 and in one memory format.

    It subtracts and multiplies in place, with constants of the shape and memory format of one
    image. On a CPU this is the fastest form: with constants that are broadcast over channels_last
    images, it takes four times as long.
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
        """Return the normalised images, (B, C, H, W) float32.

        images: (B, C, H, W) uint8, or float in 0..1 if a transform such as ToDtype scaled them.
        """
        if images.is_floating_point():
            images = images * 255
        pixels = images.to(torch.float32, memory_format=self._format)
        return pixels.sub_(self._offset).mul_(self._scale)
