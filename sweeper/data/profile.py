"""The facts about its data that a network needs when it is used again, as plain values."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from sweeper.data.inverse import CHANNELS
from sweeper.data.source import label_text, mistake_text
from sweeper.objectives import LabelType
from sweeper.schema import ImageShape


@dataclass(frozen=True)
class Profile:
    """The facts from which the loss and the input pipeline are built without the data.

    `image_shape` is (C, H, W) of the decoded images, `input_shape` that of the network's input,
    and `label_shape` the shape of one image's labels. `class_counts` are the occurrences of each
    class in the `n_train` training images. `mean` and `std` are per channel, for pixels in 0..1.
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

    @property
    def why_not_drawn(self) -> str | None:
        """Why no pictures of the images can be made; None if they can."""
        channels = self.input_shape[0]
        if channels in CHANNELS:
            return None
        return f"no images are drawn: they have {channels} channels, and a picture has 1 or 3"

    def label_text(self, labels: Tensor) -> str:
        """Return the labels of one image as text, as `source.label_text` does."""
        return label_text(labels, self.label_type, self.classes)

    def mistake_text(self, labels: Tensor, predicted: Tensor) -> str:
        """Return the difference between one image's labels and its prediction as text."""
        return mistake_text(labels, predicted, self.label_type, self.classes)

    def state_dict(self) -> dict[str, Any]:
        """Return the values that are stored in a checkpoint."""
        return asdict(self)
