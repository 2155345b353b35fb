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

from sweeper.data.source import Images, Indices
from sweeper.errors import DataError

Batch = tuple[Tensor, Tensor]
"""Images and their labels."""


class Feed(Protocol):
    """A split whose images and labels can be read in batches."""

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
        """Yield the images with the indices `order` and their labels, in that order.

        Images are (B, C, H, W) uint8 and labels (B, ...) int64, both on the device.
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
class Streaming:
    """A split too large for the device, read batch by batch in `num_workers` processes."""

    images: Images
    targets: Indices
    device: torch.device
    channels_last: bool
    num_workers: int

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
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
            images, labels = batch
            yield (
                images.to(self.device, non_blocking=True).contiguous(memory_format=layout),
                labels.to(self.device, non_blocking=True),
            )

    def _loader(self, index_batches: Sequence[Indices]) -> DataLoader[Batch | DataError]:
        return DataLoader(
            _BatchDataset(self.images, self.targets),
            batch_size=None,
            sampler=index_batches,
            num_workers=min(self.num_workers, len(index_batches)),
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # without it, every epoch would use the global one
        )


class _BatchDataset(Dataset[Batch | DataError]):
    """A dataset whose item is a whole batch, indexed by an array of image indices."""

    def __init__(self, images: Images, labels: Indices) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, indices: Indices) -> Batch | DataError:
        try:
            images = self.images[indices]
        except DataError as error:
            return error  # DataLoader would add a worker's traceback to a raised error
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])
