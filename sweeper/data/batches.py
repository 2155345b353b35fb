"""Batches of a split, from one tensor on the device or through torch's DataLoader."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sweeper.data.photographs import PackedPhotographs
from sweeper.data.source import Images, Indices, SizedImages
from sweeper.errors import DataError

Batch = tuple[Tensor, Tensor]
"""Images and their labels."""

RawBatch = tuple[Tensor | list[Tensor], Tensor]
"""Images (B, C, H, W) uint8, or a list of photographs (C, H, W) uint8, and their labels."""


_Loaded = tuple[Tensor, Tensor | None, Tensor]
"""Images, sizes and labels. Photographs of different sizes are one tensor, because torch passes
each tensor of a worker as an open file; their `sizes` are (B, 3) int64."""


class Feed(Protocol):
    """A split whose images and labels can be read in batches."""

    def batches(self, order: Indices, batch_size: int) -> Iterator[RawBatch]:
        """Yield the images with the indices `order` and their labels, in that order.

        Images are (B, C, H, W) uint8 and labels (B, ...) int64, both on the device. Photographs of
        different sizes are (C, H, W) uint8 on the CPU, because their transforms make them smaller.
        """


@dataclass(frozen=True)
class Resident:
    """A whole split as one uint8 tensor on the device.

    With channels_last, the tensor is stored as (N, H, W, C), so that indexing yields batches in
    that memory format. Otherwise, on a CPU, it shares the memory of the memory-mapped file.
    """

    pixels: NDArray[np.uint8]
    targets: Indices
    device: torch.device
    channels_last: bool

    @cached_property
    def images(self) -> Tensor:
        """All images, (N, C, H, W) or, with channels_last, (N, H, W, C)."""
        images = torch.from_numpy(self.pixels).to(self.device)
        return images.permute(0, 2, 3, 1).contiguous() if self.channels_last else images

    @cached_property
    def labels(self) -> Tensor:
        """All labels, (N, ...) int64."""
        return torch.from_numpy(self.targets).to(self.device)

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
        """Yield the images with the indices `order` and their labels, in that order."""
        for indices in torch.split(torch.from_numpy(order).to(self.device), batch_size):
            images = self.images.index_select(0, indices)
            labels = self.labels.index_select(0, indices)
            yield images.permute(0, 3, 1, 2) if self.channels_last else images, labels


@dataclass(frozen=True)
class ResidentPhotographs:
    """A whole split of photographs of different sizes, in memory or memory-mapped."""

    photographs: PackedPhotographs
    targets: Indices
    device: torch.device

    def batches(self, order: Indices, batch_size: int) -> Iterator[RawBatch]:
        """Yield the photographs with the indices `order` and their labels, in that order."""
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            arrays = self.photographs[indices]
            photographs = [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
            yield photographs, torch.from_numpy(self.targets[indices]).to(self.device)


@dataclass(frozen=True)
class Streaming:
    """A split too large for the device, read batch by batch in `num_workers` processes."""

    images: Images | SizedImages
    targets: Indices
    device: torch.device
    channels_last: bool
    num_workers: int

    def batches(self, order: Indices, batch_size: int) -> Iterator[RawBatch]:
        """Yield the images with the indices `order` and their labels, in that order.

        Raises:
            DataError: an image file cannot be decoded.
        """
        starts = range(0, len(order), batch_size)
        index_batches = [order[start : start + batch_size] for start in starts]
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        for batch in self._loader(index_batches):
            if isinstance(batch, DataError):
                raise batch
            images, sizes, labels = batch
            targets = labels.to(self.device, non_blocking=True)
            if sizes is None:
                on_device = images.to(self.device, non_blocking=True)
                yield on_device.contiguous(memory_format=layout), targets
            else:
                yield _unpacked(images, sizes), targets

    def _loader(self, index_batches: Sequence[Indices]) -> DataLoader[_Loaded | DataError]:
        return DataLoader(
            _BatchDataset(self.images, self.targets),
            batch_size=None,
            sampler=index_batches,
            num_workers=min(self.num_workers, len(index_batches)),
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # without it, every epoch would use the global one
        )


def _packed(photographs: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, Tensor]:
    pixels = np.concatenate([photograph.reshape(-1) for photograph in photographs])
    return torch.from_numpy(pixels), torch.tensor([each.shape for each in photographs])


def _unpacked(pixels: Tensor, sizes: Tensor) -> list[Tensor]:
    """Return views of the photographs, each (C, H, W)."""
    parts = torch.split(pixels, sizes.prod(dim=1).tolist())
    return [
        part.view(size).permute(2, 0, 1) for part, size in zip(parts, sizes.tolist(), strict=True)
    ]


class _BatchDataset(Dataset[_Loaded | DataError]):
    """A dataset whose item is a whole batch, indexed by an array of image indices."""

    def __init__(self, images: Images | SizedImages, labels: Indices) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, indices: Indices) -> _Loaded | DataError:
        try:
            images = self.images[indices]
        except DataError as error:
            return error  # DataLoader would add a worker's traceback to a raised error
        labels = torch.from_numpy(self.labels[indices])
        if isinstance(images, list):
            return *_packed(images), labels
        return torch.from_numpy(images), None, labels
