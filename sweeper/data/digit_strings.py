"""Strings of handwritten digits: images of another source, laid side by side."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from sweeper.data.describe import Description
from sweeper.data.digits import Digits
from sweeper.data.source import Decoded, Indices, Split, fingerprint
from sweeper.data.split import FIXED, hold_out, raw_numbers
from sweeper.data.torchvision_sets import TorchvisionSet
from sweeper.errors import ConfigError
from sweeper.objectives import LabelType

VAL_FRACTION = 0.1
"""Of the source's training images, for the validation strings alone."""

MADE_OF = {"train": "train", "val": "train", "test": "test"}
"""The split of the source that each split of strings is made of."""


@dataclass(frozen=True)
class StringLayout:
    """How many digits make a string, and by how many pixels neighbours overlap at most."""

    min_length: int
    max_length: int
    overlap: int


class DigitStrings:
    """Images as wide as the longest string, each with a string somewhere along its width.

    It gives a `val` split of its own: no image of the source is in the strings of two splits, and
    strings held out of others would share images with them. What is drawn depends on the
    arguments alone, not on the seed of the run.

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
        """Of images as wide as the longest string; nothing needs to be there."""
        digit = self._source.describe(None)
        channels, height, width = digit.shape
        return Description((channels, height, self._layout.max_length * width), digit.n_classes)

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """`train`, `val` and `test`, as high as the source's images.

        Loading them raises ConfigError for an overlap of more than half a digit.
        """
        source = self._source.splits(None)
        read = {name: cache(split.load) for name, split in source.items()}
        return {
            name: Split(
                self._fingerprint(name, source[origin]), partial(self._load, name, read[origin])
            )
            for name, origin in MADE_OF.items()
        }

    def _fingerprint(self, name: str, origin: Split) -> str:
        key = {"source": origin.fingerprint, "split": name, "n": self._sizes[name]}
        return fingerprint(key | asdict(self._layout))

    def _load(self, name: str, read: Callable[[], Decoded]) -> Decoded:
        digits = read()
        self._require_narrow_overlap(digits.images.shape[-1])
        chosen = _images_for(name, digits.labels)
        entropy = (FIXED, list(MADE_OF).index(name))
        images, labels = strings_of(
            digits.images[chosen], digits.labels[chosen], self._sizes[name], self._layout, *entropy
        )
        # torchvision calls a class "7 - seven".
        return Decoded(images, labels, tuple(each[0] for each in digits.classes))

    def _require_narrow_overlap(self, width: int) -> None:
        if self._layout.overlap > width // 2:
            raise ConfigError(
                f"data.overlap={self._layout.overlap}: the digits are {width} pixels wide; "
                f"type data.overlap={width // 2} or less"
            )


def _images_for(name: str, labels: Indices) -> Indices:
    """The images of the source's split that are for strings of this split."""
    if name == "test":
        return np.arange(len(labels))
    train, val = hold_out(labels, round(len(labels) * VAL_FRACTION), FIXED)
    return train if name == "train" else val


def strings_of(
    images: NDArray[np.uint8], labels: Indices, count: int, layout: StringLayout, *entropy: int
) -> tuple[NDArray[np.uint8], Indices]:
    """Return `count` strings (count, C, H, max_length * W), and labels (count, max_length).

    images: (n, C, H, W), dark where nothing is written; labels: (n,) classes. Each string draws
    its length, its digits, how far each overlaps the one before, and its place; more strings
    begin with those of fewer.
    """
    longest, width = layout.max_length, images.shape[-1]
    numbers = raw_numbers(count * (2 + 2 * longest), *entropy).reshape(count, -1)
    lengths = layout.min_length + _below(layout.max_length - layout.min_length + 1, numbers[:, 0])
    digits = _below(len(images), numbers[:, 2 : 2 + longest])
    overlaps = _below(layout.overlap + 1, numbers[:, 2 + longest :])
    overlaps[:, 0] = 0
    left = np.arange(longest) * width - overlaps.cumsum(axis=1)
    present = np.arange(longest) < lengths[:, None]
    taken = np.where(present, left + width, 0).max(axis=1)
    left += _below(longest * width - taken + 1, numbers[:, 1])[:, None]
    return _written(images, digits, left, present), np.where(present, labels[digits], -1)


def _below(limit: int | Indices, numbers: NDArray[np.uint64]) -> Indices:
    """Numbers from 0 to below the limit; of 64 bits they are as good as uniform."""
    return (numbers % np.asarray(limit).astype(np.uint64)).astype(np.int64)


def _written(
    images: NDArray[np.uint8], digits: Indices, left: Indices, present: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Write each present digit from its left edge on; where two overlap, the brighter one wins."""
    n, channels, height, width = images.shape
    # Columns first, since it is by them that a digit is addressed.
    columns = images.transpose(0, 3, 1, 2)
    strings = np.zeros((len(digits), digits.shape[1] * width, channels, height), dtype=np.uint8)
    for place in range(digits.shape[1]):
        rows = present[:, place].nonzero()[0]
        at = (rows[:, None], left[rows, place, None] + np.arange(width))
        strings[at] = np.maximum(strings[at], columns[digits[rows, place]])
    return np.ascontiguousarray(strings.transpose(0, 2, 3, 1))
