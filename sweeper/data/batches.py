"""Batches of a split: resident on the device, or streamed through torch's DataLoader."""

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


class Feed(Protocol):
    """Images (n, C, H, W) uint8 and labels (n,) int64 on the device, by lists of indices."""

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
        """The images in this order, cut into batches."""


@dataclass(frozen=True)
class Resident:
    """A whole split as one uint8 tensor on the device; on a CPU that is the mapped file itself.

    For channels_last the tensor is laid out (N, H, W, C): indexing then yields that format.
    """

    pixels: NDArray[np.uint8]
    targets: Indices
    device: torch.device
    channels_last: bool

    @cached_property
    def images(self) -> Tensor:
        images = torch.from_numpy(self.pixels).to(self.device)
        return images.permute(0, 2, 3, 1).contiguous() if self.channels_last else images

    @cached_property
    def labels(self) -> Tensor:
        return torch.from_numpy(self.targets).to(self.device)

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
        for indices in torch.split(torch.from_numpy(order).to(self.device), batch_size):
            images = self.images.index_select(0, indices)
            labels = self.labels.index_select(0, indices)
            yield images.permute(0, 3, 1, 2) if self.channels_last else images, labels


@dataclass(frozen=True)
class Streaming:
    """A split too large for the device: `num_workers` processes read it a batch at a time."""

    images: Images
    targets: Indices
    device: torch.device
    channels_last: bool
    num_workers: int

    def batches(self, order: Indices, batch_size: int) -> Iterator[Batch]:
        lists = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        for batch in self._loader(lists):
            if isinstance(batch, DataError):
                raise batch
            images, labels = batch
            yield (
                images.to(self.device, non_blocking=True).contiguous(memory_format=layout),
                labels.to(self.device, non_blocking=True),
            )

    def _loader(self, lists: Sequence[Indices]) -> DataLoader[Batch | DataError]:
        return DataLoader(
            _ByIndices(self.images, self.targets),
            batch_size=None,
            sampler=lists,  # an index list a batch
            num_workers=min(self.num_workers, len(lists)),
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else every epoch draws from the global one
        )


class _ByIndices(Dataset[Batch | DataError]):
    def __init__(self, images: Images, labels: Indices) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, indices: Indices) -> Batch | DataError:
        try:
            images = self.images[indices]
        except DataError as error:
            return error  # raised by a worker, it would come wrapped in that worker's traceback
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])
