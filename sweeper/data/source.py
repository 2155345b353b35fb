"""What a data set offers before anything is decoded, and what it is once decoded."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sweeper.objectives import LabelType

Indices = NDArray[np.int64]

Transform = Callable[[Tensor], Tensor]
"""Images in, images out; torchvision's v2 transforms are such."""


class Images(Protocol):
    """Pixels by index: a NumPy array, a memory-mapped file, or image files read when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    def __getitem__(self, indices: Indices, /) -> NDArray[np.uint8]:
        """The images of these indices, (n, C, H, W) uint8."""


@dataclass(frozen=True)
class Decoded:
    """One split: images (N, C, H, W) uint8, int64 labels, and the classes' names.

    Labels are (N,) classes; of a source with `multilabel` labels (N, K) zeros and ones; of one
    with `sequence` labels (N, L) classes from the left, filled up with -1.
    """

    images: Images
    labels: Indices
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """A split not yet read; `fingerprint` changes whenever what `load` returns would.

    A split of image files says in `nbytes` what it takes when decoded, and `stream` offers its
    images undecoded, the files' headers checked.
    """

    fingerprint: str
    load: Callable[[], Decoded]
    stream: Callable[[], Decoded] | None = None
    nbytes: int = 0


class Source(Protocol):
    """A data set: its name, and its splits `train`, `val` (optional) and `test` (optional).

    One whose images have anything but one class says so in an attribute `label_type`.
    """

    name: str

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """The splits there are; images of differing sizes are decoded to `image_size` squared."""


def label_type_of(source: Source) -> LabelType:
    """Return what is known of an image of the source; one class unless the source says more."""
    label_type: LabelType = getattr(source, "label_type", "multiclass")
    return label_type


def class_counts(labels: Indices, label_type: LabelType, num_classes: int) -> Indices:
    """Return how often each class occurs in the labels: (K,) int64."""
    if label_type == "multilabel":
        return np.asarray(labels.sum(axis=0))
    return np.bincount(labels[labels >= 0], minlength=num_classes)


def in_words(labels: Tensor, label_type: LabelType, classes: Sequence[str]) -> str:
    """The labels of one image: its class, its classes, or its string of classes."""
    if label_type == "multiclass":
        return classes[int(labels)]
    if label_type == "multilabel":
        return ", ".join(classes[i] for i in labels.nonzero()[:, 0]) or "none"
    present = [classes[i] for i in labels.tolist() if i >= 0]
    return ("" if all(len(name) == 1 for name in present) else " ").join(present)


def mistake_in_words(
    labels: Tensor, predicted: Tensor, label_type: LabelType, classes: Sequence[str]
) -> str:
    """How what is predicted of an image differs from its labels; of a set, the difference alone."""
    if label_type != "multilabel":
        true, taken = (in_words(one, label_type, classes) for one in (labels, predicted))
        if label_type == "sequence":
            return f"{true or 'nothing'}, read as {taken or 'nothing'}"
        return f"{true}, taken for {taken}"
    parts = {"missed": (labels > predicted).long(), "added": (predicted > labels).long()}
    return "\n".join(
        f"{how} {in_words(part, label_type, classes)}" for how, part in parts.items() if part.any()
    )


def fingerprint(arguments: Mapping[str, object], files: Iterable[Path] = ()) -> str:
    """A digest of the arguments and of each file's path, size and time of change."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    text = json.dumps([dict(arguments), stats], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
