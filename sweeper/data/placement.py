"""Where each split is kept: resident on the device, mapped from the cache, or in its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from sweeper.data.batches import Feed, Resident, Streaming
from sweeper.data.cache import Stored, cached, streamed
from sweeper.data.source import Split

GIB = 2**30


@dataclass(frozen=True)
class Placement:
    """With `resident` "auto", a split is resident when it takes no more than `limit_gib`."""

    resident: bool | Literal["auto"]
    limit_gib: float
    num_workers: int
    cache_dir: Path
    device: torch.device
    channels_last: bool

    def open_all(self, name: str, splits: Mapping[str, Split]) -> dict[str, Stored]:
        """Each split decoded, from the cache if it can be; too many image files stay files."""
        return {key: self._open(f"{name}-{key}", split) for key, split in splits.items()}

    def feed(self, stored: Stored) -> Feed:
        """The way the split's batches reach the device."""
        images = stored.images
        if isinstance(images, np.ndarray) and self._fits(prod(images.shape)):
            return Resident(images, stored.labels, self.device, self.channels_last)
        return Streaming(images, stored.labels, self.device, self.channels_last, self.num_workers)

    def _open(self, name: str, split: Split) -> Stored:
        if split.stream is not None and not self._fits(split.nbytes):
            return streamed(name, split, split.stream, self.cache_dir)
        return cached(name, split, self.cache_dir)

    def _fits(self, nbytes: int) -> bool:
        return nbytes <= self.limit_gib * GIB if self.resident == "auto" else bool(self.resident)
