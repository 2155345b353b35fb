"""The choice between a resident tensor and streaming, for each split."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sweeper.data.batches import Feed, Resident, ResidentPhotographs, Streaming
from sweeper.data.cache import OpenSplit, cached_nbytes, open_cached, open_streamed
from sweeper.data.kept import kept
from sweeper.data.photographs import PackedPhotographs
from sweeper.data.source import Images, Split

GIB = 2**30
MAX_SPLITS = 3
"""The splits of a data set. No more are kept, because they fill the memory of the device."""


@dataclass(frozen=True)
class Placement:
    """The settings that decide where the images of each split are kept.

    With `resident` "auto", a split is resident if it takes no more than `limit_gib` GiB.
    """

    resident: bool | Literal["auto"]
    limit_gib: float
    num_workers: int
    cache_dir: Path
    device: torch.device
    channels_last: bool

    def open_all(self, name: str, splits: Mapping[str, Split]) -> dict[str, OpenSplit]:
        """Open each split: from the cache, or streamed if its image files would not fit.

        After a split that cannot be cached, such as on a full disk, no other is written either: a
        user is told once.
        """
        opened: dict[str, OpenSplit] = {}
        for key, split in splits.items():
            writes = all(each.cache_folder is not None for each in opened.values())
            opened[key] = self._open(f"{name}-{key}", split, writes)
        return opened

    def feed(self, split: OpenSplit) -> Feed:
        """Return the feed that brings batches of the split to the device."""
        images = split.images
        if isinstance(images, np.ndarray) and self._fits(prod(images.shape)):
            return self._resident(split, images)
        if isinstance(images, PackedPhotographs) and self._fits(images.nbytes):
            return ResidentPhotographs(images, split.labels, self.device)
        return Streaming(images, split.labels, self.device, self.channels_last, self.num_workers)

    def _resident(self, split: OpenSplit, images: NDArray[np.uint8]) -> Feed:
        """Return the feed of an earlier trial if it is the same: its tensor is on the device."""
        key = split.cache_folder, split.digest, self.device, self.channels_last
        make = partial(Resident, images, split.labels, self.device, self.channels_last)
        return kept("feed", key, make, most=MAX_SPLITS)

    def _open(self, name: str, split: Split, writes: bool) -> OpenSplit:
        if split.stream is not None and not self._fits(self._nbytes(name, split)):
            return open_streamed(name, split, split.stream, self.cache_dir)
        return open_cached(name, split, self.cache_dir, writes)

    def _nbytes(self, name: str, split: Split) -> int:
        if split.nbytes is not None:
            return split.nbytes
        if isinstance(self.resident, bool):
            return 0  # not asked for
        if (cached := cached_nbytes(name, split, self.cache_dir)) is not None:
            return cached
        images = split.load().images
        return prod(images.shape) if isinstance(images, Images) else images.nbytes

    def _fits(self, nbytes: int) -> bool:
        return nbytes <= self.limit_gib * GIB if self.resident == "auto" else bool(self.resident)
