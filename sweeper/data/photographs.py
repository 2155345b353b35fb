"""Decoded photographs of different sizes, one behind the other in one array."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import Indices


@dataclass(frozen=True)
class PackedPhotographs:
    """Photographs in memory or in a memory-mapped file.

    pixels: (sum of H * W * C,) uint8, each photograph as (H, W, C).
    sizes: (N, 2) int64, height and width of each photograph.
    """

    pixels: NDArray[np.uint8]
    sizes: Indices
    channels: int

    @property
    def nbytes(self) -> int:
        """The size of all photographs."""
        return self.pixels.nbytes

    @cached_property
    def ends(self) -> Indices:
        """The index behind the last pixel of each photograph, (N,)."""
        return np.cumsum(self.sizes.prod(axis=1) * self.channels)

    def __getitem__(self, indices: Indices) -> list[NDArray[np.uint8]]:
        """Return views of the photographs with these indices, each (H, W, C) uint8."""
        return [self._photograph(int(index)) for index in indices]

    def _photograph(self, index: int) -> NDArray[np.uint8]:
        height, width = self.sizes[index].tolist()
        end = int(self.ends[index])
        start = end - height * width * self.channels
        return self.pixels[start:end].reshape(height, width, self.channels)
