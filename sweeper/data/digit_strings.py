"""Strings of handwritten digits, made of the images of another source side by side."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from sweeper.data.describe import Description
from sweeper.data.digits import Digits
from sweeper.data.source import Decoded, Images, Indices, Split, fingerprint
from sweeper.data.split import FIXED_SEED, hold_out, random_uint64
from sweeper.data.torchvision_sets import TorchvisionSet
from sweeper.errors import ConfigError
from sweeper.objectives import LabelType

VAL_FRACTION = 0.1
"""The share of the source's training images that is only used in validation strings."""

SOURCE_SPLITS = {"train": "train", "val": "train", "test": "test"}
"""The split of the source that the digits come from, for each split of strings."""


@dataclass(frozen=True)
class StringLayout:
    """The number of digits in a string, and the largest overlap of neighbours in pixels."""

    min_length: int
    max_length: int
    overlap: int


class DigitStrings:
    """Images as wide as the longest string, each with one string at a random position.

    No image of the source is used in two splits. This data set has a `val` split of its own,
    because strings held out of `train` would share digit images with the rest. The strings depend
    on the arguments alone, not on the seed of the run.

    Raises:
        ConfigError: `min_length` is more than `max_length`.
    """

    name = "digit_strings"
    label_type: LabelType = "sequence"

    def __init__(
        self,
        source: Literal["digits", "mnist"],
        root: str,
        download: bool,
        n_train: PositiveInt,
        n_val: PositiveInt,
        n_test: PositiveInt,
        min_length: NonNegativeInt,
        max_length: PositiveInt,
        overlap: NonNegativeInt,
    ) -> None:
        if min_length > max_length:
            raise ConfigError(
                f"data.min_length={min_length} is more than data.max_length={max_length}; "
                f"type data.min_length={max_length} or less"
            )
        self._source: Digits | TorchvisionSet = (
            Digits() if source == "digits" else TorchvisionSet(source, root, download)
        )
        self._sizes = {"train": n_train, "val": n_val, "test": n_test}
        self._layout = StringLayout(min_length, max_length, overlap)

    def describe(self, image_size: int | None) -> Description:
        """Describe the images of the strings, without reading a file."""
        digit = self._source.describe(None)
        channels, height, width = digit.shape
        return Description((channels, height, self._layout.max_length * width), digit.n_classes)

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """Return `train`, `val` and `test`, as high as the source's images.

        Raises:
            DataError: the source's files are missing and cannot be downloaded.
            ConfigError: from the `load` of a split, for an overlap of more than half a digit.
        """
        source = self._source.splits(None)
        # `train` and `val` come from the same split of the source, which is decoded only once.
        load_source = {name: cache(split.load) for name, split in source.items()}
        return {
            name: Split(
                self._fingerprint(name, source[source_split]),
                partial(self._load, name, load_source[source_split]),
            )
            for name, source_split in SOURCE_SPLITS.items()
        }

    def _fingerprint(self, name: str, source_split: Split) -> str:
        key = {"source": source_split.fingerprint, "split": name, "n": self._sizes[name]}
        return fingerprint(key | asdict(self._layout))

    def _load(self, name: str, load_source: Callable[[], Decoded]) -> Decoded:
        digits = load_source()
        assert isinstance(digits.images, Images)  # the sources' images have one size
        self._check_overlap(digits.images.shape[-1])
        indices = _digit_indices(name, digits.labels)
        entropy = (FIXED_SEED, list(SOURCE_SPLITS).index(name))
        images, labels = make_strings(
            digits.images[indices],
            digits.labels[indices],
            self._sizes[name],
            self._layout,
            *entropy,
        )
        # torchvision calls a class "7 - seven".
        return Decoded(images, labels, tuple(class_name[0] for class_name in digits.classes))

    def _check_overlap(self, width: int) -> None:
        if self._layout.overlap > width // 2:
            raise ConfigError(
                f"data.overlap={self._layout.overlap}: the digits are {width} pixels wide; "
                f"type data.overlap={width // 2} or less"
            )


def _digit_indices(name: str, labels: Indices) -> Indices:
    """Return the indices of the source's images to use in the split `name`; labels: (n,)."""
    if name == "test":
        return np.arange(len(labels))
    train, val = hold_out(labels, round(len(labels) * VAL_FRACTION), FIXED_SEED)
    return train if name == "train" else val


def make_strings(
    images: NDArray[np.uint8], labels: Indices, count: int, layout: StringLayout, *entropy: int
) -> tuple[NDArray[np.uint8], Indices]:
    """Return `count` random strings: images (count, C, H, L * W) and labels (count, L).

    images: (n, C, H, W) uint8 digits on black; labels: (n,) int64 classes; L: `max_length`. The
    length of a string, its digits, their overlaps and its position are random. A larger `count`
    only appends strings.
    """
    max_length, width = layout.max_length, images.shape[-1]
    numbers = random_uint64(count * (2 + 2 * max_length), *entropy).reshape(count, -1)
    lengths = layout.min_length + _integers_below(
        layout.max_length - layout.min_length + 1, numbers[:, 0]
    )
    digits = _integers_below(len(images), numbers[:, 2 : 2 + max_length])
    overlaps = _integers_below(layout.overlap + 1, numbers[:, 2 + max_length :])
    overlaps[:, 0] = 0
    left_edges = np.arange(max_length) * width - overlaps.cumsum(axis=1)
    present = np.arange(max_length) < lengths[:, None]
    string_widths = np.where(present, left_edges + width, 0).max(axis=1)
    left_edges += _integers_below(max_length * width - string_widths + 1, numbers[:, 1])[:, None]
    strings = _draw(images, digits, left_edges, present)
    return strings, np.where(present, labels[digits], -1)


def _integers_below(limit: int | Indices, numbers: NDArray[np.uint64]) -> Indices:
    """Return integers from 0 to `limit` - 1, of the shape of the random numbers.

    The remainder of a 64-bit random number is close enough to uniform.
    """
    return (numbers % np.asarray(limit).astype(np.uint64)).astype(np.int64)


def _draw(
    images: NDArray[np.uint8], digits: Indices, left_edges: Indices, present: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Draw the digits that are present; where two of them overlap, the brighter pixel is kept.

    images: (n, C, H, W); digits, left_edges, present: (count, L); returns (count, C, H, L * W).
    """
    _, channels, height, width = images.shape
    # (n, W, C, H), so that one index array selects the columns that a digit covers.
    columns = images.transpose(0, 3, 1, 2)
    strings = np.zeros((len(digits), digits.shape[1] * width, channels, height), dtype=np.uint8)
    for position in range(digits.shape[1]):
        rows = present[:, position].nonzero()[0]
        target = (rows[:, None], left_edges[rows, position, None] + np.arange(width))
        strings[target] = np.maximum(strings[target], columns[digits[rows, position]])
    return np.ascontiguousarray(strings.transpose(0, 2, 3, 1))
