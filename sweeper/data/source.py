"""The protocol of a data set, before and after its images are decoded, and its labels as text."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sweeper.errors import ConfigError, DataError
from sweeper.objectives import LabelType

Indices = NDArray[np.int64]

Transform = Callable[[Any], Tensor]
"""A function from images to images, such as a v2 transform of torchvision."""


EXAMPLE_SIZE = 128
"""The side in pixels that an error suggests."""


@runtime_checkable
class Images(Protocol):
    """Pixels by index: a NumPy array, a memory-mapped file, or image files decoded on access."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images, (N, C, H, W)."""

    def __getitem__(self, indices: Indices, /) -> NDArray[np.uint8]:
        """Return the images with these indices, (n, C, H, W) uint8."""


class SizedImages(Protocol):
    """Photographs of different sizes by index, decoded already or on access."""

    @property
    def sizes(self) -> Indices:
        """Height and width of each photograph, (N, 2)."""

    @property
    def channels(self) -> int:
        """The number of channels of all photographs."""

    @property
    def nbytes(self) -> int:
        """The size of all decoded photographs."""

    def __getitem__(self, indices: Indices, /) -> list[NDArray[np.uint8]]:
        """Return the photographs with these indices, each (H, W, C) uint8."""


@dataclass(frozen=True)
class Decoded:
    """A decoded split: images (N, C, H, W) uint8, labels int64, and the names of the classes.

    Photographs that keep their proportions have different sizes.

    The shape of the labels depends on the `label_type` of the source. `multiclass`: (N,) classes.
    `multilabel`: (N, K) zeros and ones. `sequence`: (N, L) classes from left to right, padded
    with -1.
    """

    images: Images | SizedImages
    labels: Indices
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """A split that has not been read yet.

    `fingerprint` changes whenever the result of `load` would change. A split of image files can
    also be streamed: `stream` reads only the headers of the files, and its result decodes images on
    access. `nbytes` is the size of all decoded images, or None if only the headers tell it.
    `contents` reads such files and returns a digest of what is in them; it is the same wherever the
    files are, and whether they are streamed or not.
    """

    fingerprint: str
    load: Callable[[], Decoded]
    stream: Callable[[], Decoded] | None = None
    nbytes: int | None = 0
    contents: Callable[[], str] | None = None


class Source(Protocol):
    """A data set with a name and the splits `train`, `val` (optional) and `test` (optional).

    A source whose images have several classes, or a string, has an attribute `label_type`. A source
    may also have a method `describe`; see `sweeper.data.describe`.
    """

    name: str

    def splits(self, image_size: int | tuple[int, int] | None) -> dict[str, Split]:
        """Return the splits by name.

        Images of different sizes are decoded to `image_size`: the side of a square, or height and
        width.
        """


def required_size(source: str, image_size: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return height and width of `image_size`, for a source whose images have different sizes.

    Raises:
        ConfigError: `image_size` is None.
    """
    if image_size is None:
        raise ConfigError(
            f"data.image_size=null: {source} needs a size, unless both data.train_transform and "
            f"data.eval_transform make one, such as RandomResizedCrop and CenterCrop; type "
            f"data.image_size={EXAMPLE_SIZE}"
        )
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def label_type_of(source: object) -> LabelType:
    """Return the `label_type` of a data set, `multiclass` by default."""
    label_type: LabelType = getattr(source, "label_type", "multiclass")
    return label_type


def require_labels(name: str, labels: Indices, label_type: LabelType, num_classes: int) -> None:
    """Check the shape and the range of the labels of a split; `name` is what an error calls it.

    Raises:
        DataError: a label is no class; training would end in an error of torch, or learn nonsense.
    """
    lowest, highest = {
        "multiclass": (0, num_classes - 1),
        "multilabel": (0, 1),
        "sequence": (-1, num_classes - 1),
    }[label_type]
    fits = {
        "multiclass": labels.ndim == 1,
        "multilabel": labels.ndim == 2 and labels.shape[1] == num_classes,
        "sequence": labels.ndim == 2,
    }[label_type]
    if not fits:
        raise DataError(
            f"{name} has labels of shape {labels.shape}, which {num_classes} classes of "
            f"label_type={label_type} cannot have"
        )
    outside = labels[(labels < lowest) | (labels > highest)]
    if outside.size:
        raise DataError(
            f"{name} has the label {outside[0]}: expected {lowest} to {highest}, because there are "
            f"{num_classes} classes"
        )


def class_counts(labels: Indices, label_type: LabelType, num_classes: int) -> Indices:
    """Return how often each class occurs in the labels (N, ...): (K,) int64."""
    if label_type == "multilabel":
        return np.asarray(labels.sum(axis=0))
    return np.bincount(labels[labels >= 0], minlength=num_classes)


def label_text(labels: Tensor, label_type: LabelType, classes: Sequence[str]) -> str:
    """Return the labels of one image as text: its class, its classes, or its string.

    labels: () for `multiclass`, (K,) for `multilabel`, (L,) for `sequence`; int64.
    """
    if label_type == "multiclass":
        return classes[int(labels)]
    if label_type == "multilabel":
        return ", ".join(classes[i] for i in labels.nonzero()[:, 0]) or "none"
    names = [classes[i] for i in labels.tolist() if i >= 0]
    return ("" if all(len(name) == 1 for name in names) else " ").join(names)


def mistake_text(
    labels: Tensor, predicted: Tensor, label_type: LabelType, classes: Sequence[str]
) -> str:
    """Return the difference between one image's labels and its prediction as text.

    labels, predicted: of the same shape, as for `label_text`. For `multilabel`, only the classes
    that differ are named.
    """
    if label_type != "multilabel":
        true_text = label_text(labels, label_type, classes)
        predicted_text = label_text(predicted, label_type, classes)
        if label_type == "sequence":
            return f"{true_text or 'nothing'}, read as {predicted_text or 'nothing'}"
        return f"{true_text}, taken for {predicted_text}"
    differences = {"missed": (labels > predicted).long(), "added": (predicted > labels).long()}
    return "\n".join(
        f"{verb} {label_text(difference, label_type, classes)}"
        for verb, difference in differences.items()
        if difference.any()
    )


def fingerprint(arguments: Mapping[str, object], files: Iterable[Path] = ()) -> str:
    """Return a digest of the arguments, and of the path, size and mtime of each file."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    text = json.dumps([dict(arguments), stats], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
