"""The input shape of the network and the number of classes, without reading images."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from sweeper.data.checked_splits import checked_splits, require_split_names
from sweeper.data.file_source import DataSet, FileSource
from sweeper.data.framing import Size
from sweeper.data.inputs import Inputs
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

    def describe(self, image_size: int | Size | None) -> Description:
        """Describe the images as they are decoded with this `image_size`."""


def describe(source: DataSet, inputs: Inputs) -> Description:
    """Return the network's input shape and the number of classes that `prepare` would produce.

    A source without a method `describe` is read.

    Raises:
        DataError: the source cannot be read, or its classes cannot be determined.
        ConfigError: the settings do not fit the images.
    """
    if isinstance(source, FileSource):
        channels, n_classes = _channels_and_classes(source)
        probes = inputs.blank_files(channels)
    else:
        decoded = _decoded_description(source, inputs.image_size)
        n_classes = decoded.n_classes
        probes = [torch.zeros(1, *decoded.shape, dtype=torch.uint8)]
    steps = inputs.steps(probes, torch.device("cpu"))
    return Description(steps.input_shape, n_classes)


def _channels_and_classes(source: FileSource) -> tuple[int, int]:
    if isinstance(source, SelfDescribing):
        description = source.describe((1, 1))
        return description.shape[0], description.n_classes
    files = source.files()
    require_split_names(source.name, files)
    train = files["train"]
    return len(train.mode), len(train.labels()[1])


def _decoded_description(source: Source, image_size: int | Size | None) -> Description:
    if isinstance(source, SelfDescribing):
        return source.describe(image_size)
    train = checked_splits(source.name, source.splits(image_size))["train"].load()
    channels, height, width = train.images[np.zeros(1, dtype=np.int64)][0].shape
    return Description((channels, height, width), len(train.classes))
