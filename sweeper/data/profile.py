"""What a network must know of the data it was trained on, as plain values."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from sweeper.data.source import in_words, mistake_in_words
from sweeper.objectives import LabelType
from sweeper.schema import ImageShape


@dataclass(frozen=True)
class Profile:
    """Enough to build the network's loss and its input pipeline without the data.

    `image_shape` is (C, H, W) as the source stores images, `input_shape` as the network sees
    them, `label_shape` that of the labels of one image; `class_counts` counts each class in the
    `n_train` training images; `mean` and `std` are per channel for pixels in 0..1.
    """

    name: str
    classes: tuple[str, ...]
    label_type: LabelType
    label_shape: tuple[int, ...]
    image_shape: ImageShape
    input_shape: ImageShape
    class_counts: tuple[int, ...]
    n_train: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def named(self, labels: Tensor) -> str:
        """The labels of one image in words: its class, its classes, or its string."""
        return in_words(labels, self.label_type, self.classes)

    def mistake(self, labels: Tensor, predicted: Tensor) -> str:
        """How what is predicted of one image differs from its labels, in words."""
        return mistake_in_words(labels, predicted, self.label_type, self.classes)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return asdict(self)
