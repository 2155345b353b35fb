"""What training sees of a data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Subset:
    """The images of a feed that belong to one split."""

    feed: Feed
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class ImageData:
    """A prepared data set; batches are normalised float32 (B, C, H, W) and int64 labels.

    The labels of a batch are (B,) classes, (B, K) zeros and ones for sets of classes, or (B, L)
    for strings. `digest` is a hash of the pixels, labels and classes of all splits.
    """

    profile: Profile
    digest: str
    batch_size: int
    seed: int
    subsets: dict[str, Subset]
    train_pipeline: Pipeline
    eval_pipeline: Pipeline

    @property
    def sizes(self) -> dict[str, int]:
        """Images in `train`, `val` and, where there is one, `test`."""
        return {name: len(subset) for name, subset in self.subsets.items()}

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return "test" in self.subsets

    @property
    def steps_per_epoch(self) -> int:
        """Training batches an epoch."""
        return -(-self._images_per_epoch // self.batch_size)

    @property
    def _images_per_epoch(self) -> int:
        # Batch norm cannot train on a single image, so a last batch of one is left out.
        n = len(self.subsets["train"])
        return n - 1 if self.batch_size > 1 and n % self.batch_size == 1 else n

    def train(self, epoch: int) -> Iterator[Batch]:
        """The epoch's shuffled, augmented batches; their order depends on seed and epoch alone."""
        subset = self.subsets["train"]
        order = subset.indices[permutation(len(subset), self.seed, epoch)]
        for images, labels in subset.feed.batches(order[: self._images_per_epoch], self.batch_size):
            yield self.train_pipeline(images), labels

    def reference(self) -> Iterator[Batch]:
        """The training batches as they are evaluated: in a fixed order, not augmented."""
        return self._evaluation("train", self.subsets["train"].indices)

    def val(self) -> Iterator[Batch]:
        """The validation batches, in a fixed order."""
        return self._evaluation("val", self.subsets["val"].indices)

    def test(self) -> Iterator[Batch]:
        """The test batches, in a fixed order; ConfigError when there is no test split."""
        if not self.has_test:
            raise ConfigError(f"data={self.profile.name} has no test split")
        return self._evaluation("test", self.subsets["test"].indices)

    def samples(self, split: str, positions: Sequence[int]) -> Batch:
        """Chosen images of `val` or `test` by their position in it, as one evaluation batch."""
        chosen = self.subsets[split].indices[np.asarray(positions, dtype=np.int64)]
        batches = list(self._evaluation(split, chosen))
        images, labels = zip(*batches, strict=True)
        return torch.cat(images), torch.cat(labels)

    def inverse(self, images: Tensor) -> list[Image]:
        """Normalised images (N, 1 or 3, H, W) as pictures; DataError for any other shape."""
        return to_pictures(images, self.profile.mean, self.profile.std)

    def _evaluation(self, split: str, order: Indices) -> Iterator[Batch]:
        for images, labels in self.subsets[split].feed.batches(order, self.batch_size):
            yield self.eval_pipeline(images), labels
