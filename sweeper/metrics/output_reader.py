"""What a measure asks of a loss: how to read predictions off the outputs of a network."""

from typing import Protocol

from torch import Tensor

from sweeper.objectives import LabelType


class OutputReader(Protocol):
    """Reads predictions off outputs; `sweeper.losses.Adapter` is the one implementation.

    N images, K classes; the shapes of outputs and labels depend on the type of the labels.
    """

    num_classes: int
    label_type: LabelType
    reduction: str

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the predicted labels of each image, in the form of the labels."""
        ...

    def scores(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 by which to rank the images for each class."""
        ...

    def scored(self, labels: Tensor) -> Tensor | None:
        """Return which images count for the metrics as (N,) bool; None for all of them."""
        ...

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        """Return what the criterion divides the summed loss of a batch by."""
        ...
