"""What the network will see of a data set, told without reading it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import NonNegativeInt, PositiveInt

from sweeper.data.pipeline import decoded_size, route_for
from sweeper.data.source import Source
from sweeper.schema import ImageShape


@dataclass(frozen=True)
class Description:
    """The shape (C, H, W) of an image, and how many classes there are."""

    shape: ImageShape
    n_classes: int


@runtime_checkable
class SelfDescribing(Protocol):
    """A source that knows its images and classes before anything is read."""

    def describe(self, image_size: int | None) -> Description:
        """Of images as `splits` decodes them with the same `image_size`."""


def describe(
    source: Source,
    *,
    image_size: PositiveInt | None,
    train_transform: list[Callable[..., Any]],
    eval_transform: list[Callable[..., Any]],
    min_image_size: NonNegativeInt,
) -> Description:
    """The network's input shape and the number of classes, as `prepare` with these will have it.

    A source without a method `describe` is read. Raises DataError where that fails, or the
    classes are not to be found, and ConfigError for settings that do not fit the images.
    """
    size = decoded_size(image_size, min_image_size)
    told = _told(source, size)
    blank = torch.zeros(1, *told.shape, dtype=torch.uint8)
    route = route_for(blank, train_transform, eval_transform, size, min_image_size)
    return Description(route.shape, told.n_classes)


def _told(source: Source, image_size: int | None) -> Description:
    if isinstance(source, SelfDescribing):
        return source.describe(image_size)
    train = source.splits(image_size)["train"].load()
    _, channels, height, width = train.images.shape
    return Description((channels, height, width), len(train.classes))
