"""The protocol by which measures read predictions from the outputs of a network."""

from typing import Protocol

from torch import Tensor

from sweeper.objectives import LabelType


class OutputReader(Protocol):
    """A reader of predictions from outputs; `sweeper.losses.Adapter` is the only implementation.

    N is the number of images, K of classes. The label type decides on the shapes of outputs and
    labels, which `Adapter` documents.
    """

    num_classes: int
    label_type: LabelType
    reduction: str

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the predicted labels, in the form of the labels."""
        ...

    def scores(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 scores that rank the images for each class."""
        ...

    def metric_mask(self, labels: Tensor) -> Tensor | None:
        """Return a (N,) bool mask of the images that count for the metrics; None for all."""
        ...

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        """Return the divisor with which the criterion averages the loss of a batch."""
        ...
