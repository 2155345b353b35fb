"""What a data set offers before anything is decoded, and what it is once decoded."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Images(Protocol):
    """Pixels by index: a NumPy array, a memory-mapped file, or image files read when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""

    def __getitem__(self, indices: Indices, /) -> NDArray[np.uint8]:
        """The images of these indices, (n, C, H, W) uint8."""


@dataclass(frozen=True)
class Decoded:
    """One split: images (N, C, H, W) uint8, labels (N,) int64, and the classes' names."""

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
    """A data set: its name, and its splits `train`, `val` (optional) and `test` (optional)."""

    name: str

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """The splits there are; images of differing sizes are decoded to `image_size` squared."""


def fingerprint(arguments: Mapping[str, object], files: Iterable[Path] = ()) -> str:
    """A digest of the arguments and of each file's path, size and time of change."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    text = json.dumps([dict(arguments), stats], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
