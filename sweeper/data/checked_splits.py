"""The splits of a data set, which may be anyone's, with what is read of them checked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from sweeper.data.image_files import FilePhotographs
from sweeper.data.source import Decoded, Images, Indices, SizedImages, Split
from sweeper.errors import DataError

SPLITS = ("train", "val", "test")
"""The names that a split may have."""


def require_split_names(data: str, names: Iterable[object]) -> None:
    """Check the names of the splits of a data set; `data` is the name of the set.

    Raises:
        DataError: there is no `train`, or a name that nothing would ever read.
    """
    found = list(names)
    for name in found:
        if name not in SPLITS:
            raise DataError(
                f"data={data}: nothing reads a split {name}; name it train, val or test"
            )
    if "train" not in found:
        raise DataError(f"data={data}: there is no split train; name one of the splits so")


def checked_splits(data: str, splits: Mapping[str, Split]) -> dict[str, Split]:
    """Return the splits of a data set, which raise a DataError when they cannot be used.

    They do so when they are read. Labels of any integer type become int64.

    Raises:
        DataError: a split has another name than `train`, `val` and `test`, or there is no `train`.
    """
    require_split_names(data, splits)
    return {name: _checked(split, f"data={data}: {name}") for name, split in splits.items()}


def _checked(split: Split, name: str) -> Split:
    def checked(read: Callable[[], Decoded]) -> Decoded:
        decoded = read()
        labels = _labels(name, np.asarray(decoded.labels))
        n_images = _n_images(name, decoded.images)
        if n_images != len(labels):
            raise DataError(f"{name} has {n_images} images and {len(labels)} labels")
        return replace(decoded, labels=labels)

    stream = split.stream and partial(checked, split.stream)
    return replace(split, load=partial(checked, split.load), stream=stream)


def _labels(name: str, labels: Indices) -> Indices:
    """Return labels as int64."""
    if labels.ndim and not len(labels):
        raise DataError(f"{name} has no image; add some, or leave out the split")
    if not np.can_cast(labels.dtype, np.int64):
        raise DataError(f"{name} has labels of type {labels.dtype}: expected int64")
    return np.ascontiguousarray(labels, dtype=np.int64)


def _n_images(name: str, images: Images | SizedImages) -> int:
    """Return the number of images; no file is read for it."""
    if isinstance(images, FilePhotographs):
        return len(images.paths)
    if not isinstance(images, Images):
        return len(images.sizes)
    if len(images.shape) != 4:
        raise DataError(
            f"{name} has images of shape {(*images.shape,)}: expected (N, channels, height, width)"
        )
    dtype = str(getattr(images, "dtype", "uint8")).removeprefix("torch.")
    if dtype != "uint8":
        raise DataError(f"{name} has images of type {dtype}: expected uint8, from 0 to 255")
    return images.shape[0]
