"""The input shape of the network and the number of classes, without reading images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import NonNegativeInt, PositiveInt

from sweeper.data.pipeline import decoded_size, input_steps
from sweeper.data.source import Source
from sweeper.schema import ImageShape


@dataclass(frozen=True)
class Description:
    """The shape (C, H, W) of an image, and the number of classes."""

    shape: ImageShape
    n_classes: int


@runtime_checkable
class SelfDescribing(Protocol):
    """A source that can describe its images and classes without reading them."""

    def describe(self, image_size: int | None) -> Description:
        """Describe the images that `splits` decodes with the same `image_size`."""


def describe(
    source: Source,
    *,
    image_size: PositiveInt | None,
    train_transform: list[Callable[..., Any]],
    eval_transform: list[Callable[..., Any]],
    min_image_size: NonNegativeInt,
) -> Description:
    """Return the network's input shape and the number of classes that `prepare` would produce.

    A source without a method `describe` is read.

    Raises:
        DataError: the source cannot be read, or its classes cannot be determined.
        ConfigError: the settings do not fit the images.
    """
    size = decoded_size(image_size, min_image_size)
    decoded = _decoded_description(source, size)
    blank = torch.zeros(1, *decoded.shape, dtype=torch.uint8)
    steps = input_steps(blank, train_transform, eval_transform, size, min_image_size)
    return Description(steps.input_shape, decoded.n_classes)


def _decoded_description(source: Source, image_size: int | None) -> Description:
    if isinstance(source, SelfDescribing):
        return source.describe(image_size)
    train = source.splits(image_size)["train"].load()
    _, channels, height, width = train.images.shape
    return Description((channels, height, width), len(train.classes))
