"""A prepared data set, and its batches by split and epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from sweeper.data.batches import Batch, Feed
from sweeper.data.inverse import to_pictures
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.data.source import Indices
from sweeper.data.split import permutation
from sweeper.errors import ConfigError
from sweeper.schema import ImageShape

CPU_VALUES = 2**17
"""The largest number of float32 values in the images of a batch that a CPU evaluates."""


@dataclass(frozen=True)
class Subset:
    """The images of a feed that belong to one split."""

    feed: Feed
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class ImageData:
    """A prepared data set; its batches are normalised images (B, C, H, W) float32 and labels.

    Labels are int64: (B,) classes, (B, K) zeros and ones for sets of classes, or (B, L) for
    strings. `digest` is a hash of the files or pixels, labels and classes of all splits.
    """

    profile: Profile
    digest: str
    former_digest: str
    """The digest of the same data in checkpoints of earlier versions."""
    batch_size: int
    seed: int
    subsets: dict[str, Subset]
    train_pipeline: Pipeline
    eval_pipeline: Pipeline
    eval_batch_size: int
    """The number of images in a batch of `val()` and `test()`."""

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images in `train`, `val` and, if there is one, `test`."""
        return {name: len(subset) for name, subset in self.subsets.items()}

    def has_digest(self, digest: object) -> bool:
        """Return whether a checkpoint with this digest was trained on this data."""
        return digest in (self.digest, self.former_digest)

    @property
    def has_test(self) -> bool:
        """True if the data set has a test split."""
        return "test" in self.subsets

    @property
    def steps_per_epoch(self) -> int:
        """The number of training batches in an epoch."""
        return -(-self._images_per_epoch // self.batch_size)

    @property
    def _images_per_epoch(self) -> int:
        # Batch norm cannot train on a single image, so a last batch of one image is left out.
        n = len(self.subsets["train"])
        return n - 1 if self.batch_size > 1 and n % self.batch_size == 1 else n

    def train(self, epoch: int) -> Iterator[Batch]:
        """Yield the shuffled, augmented batches of an epoch; seed and epoch fix their order."""
        subset = self.subsets["train"]
        order = subset.indices[permutation(len(subset), self.seed, epoch)]
        for images, labels in subset.feed.batches(order[: self._images_per_epoch], self.batch_size):
            yield self.train_pipeline(images), labels

    def unaugmented_train(self) -> Iterator[Batch]:
        """Yield the training batches in a fixed order, with the transforms of evaluation."""
        return self._evaluation_batches("train", self.batch_size)

    def val(self) -> Iterator[Batch]:
        """Yield the validation batches in a fixed order."""
        return self._evaluation_batches("val", self.eval_batch_size)

    def test(self) -> Iterator[Batch]:
        """Yield the test batches in a fixed order.

        Raises:
            ConfigError: there is no test split.
        """
        if not self.has_test:
            raise ConfigError(f"data={self.profile.name} has no test split")
        return self._evaluation_batches("test", self.eval_batch_size)

    def samples(self, split: str, positions: Sequence[int]) -> Batch:
        """Return the images at these positions of `val()` or `test()` as one batch."""
        indices = self.subsets[split].indices[np.asarray(positions, dtype=np.int64)]
        batches = list(self._evaluation_batches(split, self.batch_size, indices))
        images, labels = zip(*batches, strict=True)
        return torch.cat(images), torch.cat(labels)

    def to_pictures(self, images: Tensor) -> list[Image]:
        """Return PIL images of normalised images (N, 1 or 3, H, W) float32.

        Raises:
            DataError: the images have another shape.
        """
        return to_pictures(images, self.profile.mean, self.profile.std)

    def _evaluation_batches(
        self, split: str, batch_size: int, order: Indices | None = None
    ) -> Iterator[Batch]:
        subset = self.subsets[split]
        order = subset.indices if order is None else order
        for images, labels in subset.feed.batches(order, batch_size):
            yield self.eval_pipeline(images), labels


def evaluation_batch_size(batch_size: int, input_shape: ImageShape, device: torch.device) -> int:
    """Return the number of images in a batch of an evaluation, at least `batch_size`.

    Nothing is saved for a backward pass, so a device other than a CPU has memory for four times as
    many images. On a CPU, a larger batch is faster only as long as it stays in the caches: compared
    with 64 images, the small network takes 0.7 times as long with 1024 images of 8x8 pixels, and
    1.8 times as long with 1024 images of 28x28.
    """
    if device.type != "cpu":
        return 4 * batch_size
    return max(batch_size, CPU_VALUES // prod(input_shape))
