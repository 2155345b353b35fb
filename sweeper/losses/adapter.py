"""How outputs and labels reach a loss, and how a prediction is read off the outputs.

A loss option names its criterion (`_target_`, torch's own class) and its adapter (`adapter`).
An adapter owns all that differs between kinds of loss: the shape of the network's outputs, the
activation and the form of the target, the prediction, and the meter of an epoch.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from sweeper.metrics.meter import Meter
from sweeper.objectives import LabelType


class Adapter(nn.Module):
    """A criterion on outputs (N, K) and labels; subclasses say activation and target.

    Labels are (N,) int64 classes for `multiclass`, (N, K) int64 zeros and ones for
    `multilabel`, and (N, L) int64 classes, filled up with -1, for `sequence`.
    """

    label_types: ClassVar[frozenset[LabelType]] = frozenset({"multiclass"})
    """What the loss can learn from."""

    def __init__(
        self, criterion: nn.Module, num_classes: int, label_type: LabelType = "multiclass"
    ) -> None:
        super().__init__()
        self.criterion = criterion
        self.num_classes = num_classes
        self.label_type = label_type
        self.reduction: str = getattr(criterion, "reduction", "mean")

    @property
    def needs_training_outputs(self) -> bool:
        """Whether predictions need `learn` first."""
        return False

    @property
    def n_outputs(self) -> int:
        """What the network is told as its number of classes."""
        return self.num_classes

    @property
    def output_shape(self) -> str:
        """The outputs for one image, in words for a network that returns others."""
        return (
            f"(1, {self.n_outputs}): type another model, such as model=cnn, or take num_classes "
            "in the constructor of your own"
        )

    def reads(self, shape: tuple[int, ...]) -> bool:
        """Whether outputs of this shape, for one image, are what the loss is for."""
        return shape == (1, self.n_outputs)

    def shortage(self, shape: tuple[int, ...], label_shape: tuple[int, ...]) -> str | None:
        """Return what outputs that it reads lack for labels of this shape, and what to type."""
        return None

    @property
    def least_batch(self) -> int:
        """The fewest images of which anything can be learned."""
        return 1

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch as a scalar; an unreduced loss is averaged."""
        # Half precision is for the network; a loss sums many small terms.
        loss: Tensor = self.criterion(self.activated(outputs.float()), self.target(labels))
        return loss.mean() if loss.ndim else loss

    def activated(self, outputs: Tensor) -> Tensor:
        """Return what the criterion is defined on: float32 outputs, activated if need be."""
        return outputs

    def target(self, labels: Tensor) -> Tensor:
        """Return what the criterion compares the outputs with."""
        raise NotImplementedError

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the predicted labels of each image, in the form of the labels."""
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 scores in 0..1; for `multiclass` those of an image sum to one."""
        return outputs.float().softmax(dim=1)

    def scores(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 in the order of `probabilities`, but without their rounding."""
        return self.probabilities(outputs)

    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take in outputs and labels of all training images, batch by batch."""
        raise NotImplementedError

    def scored(self, labels: Tensor) -> Tensor | None:
        """Return which images count for the metrics as (N,) bool; None for all of them."""
        return None

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        """Return what the criterion divides the summed loss of a batch by."""
        return len(labels)

    def meter(self, device: torch.device) -> Meter:
        """Return a fresh meter for one pass over a split."""
        return Meter(self, device)
