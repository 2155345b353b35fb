"""The base class of adapters, which stand between a network's outputs, its labels and a loss.

A loss option names its criterion (`_target_`, torch's own class) and its adapter (`adapter`).
The adapter knows all that differs between kinds of losses: the shape of the outputs, the
activation before the criterion, the form of the target, and how to read predictions from outputs.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from sweeper.metrics.meter import Meter
from sweeper.objectives import LabelType


class Adapter(nn.Module):
    """A criterion with outputs (N, K) float; subclasses define its activation and its target.

    The shape of the labels depends on the label type: (N,) int64 class indices for `multiclass`,
    (N, K) int64 zeros and ones for `multilabel`, and (N, L) int64 class indices, padded with -1,
    for `sequence`. Predictions have the same form. N is the number of images, K of classes.
    """

    label_types: ClassVar[frozenset[LabelType]] = frozenset({"multiclass"})
    """The label types that the loss can learn from."""
    is_per_image: ClassVar[bool] = True
    """True if the other images of a batch do not change the loss of an image."""

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
        """True if `learn` must be called before `predict`."""
        return False

    @property
    def n_outputs(self) -> int:
        """The argument `num_classes` of the network: its number of outputs for each image."""
        return self.num_classes

    @property
    def expected_outputs(self) -> str:
        """The expected shape for one image, and what to type; part of an error message."""
        return (
            f"(1, {self.n_outputs}): type another model, such as model=cnn, or give your own model "
            "a constructor argument num_classes"
        )

    def accepts_outputs(self, shape: tuple[int, ...]) -> bool:
        """Return whether the loss can be computed from outputs of this shape for one image."""
        return shape == (1, self.n_outputs)

    def shortage(self, shape: tuple[int, ...], label_shape: tuple[int, ...]) -> str | None:
        """Return an error message if outputs of this shape are too small for the labels.

        shape: that of accepted outputs for one image; label_shape: that of the labels of one image.
        """
        return None

    @property
    def min_batch_size(self) -> int:
        """The smallest number of images that the loss can learn from."""
        return 1

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch as a float32 scalar; an unreduced loss is averaged."""
        # float32 even under mixed precision, because a loss sums many small terms.
        loss: Tensor = self.criterion(self.activated(outputs.float()), self.target(labels))
        return loss.mean() if loss.ndim else loss

    def activated(self, outputs: Tensor) -> Tensor:
        """Return the criterion's input, (N, K) float32: the outputs after an activation, if any."""
        return outputs

    def target(self, labels: Tensor) -> Tensor:
        """Return the criterion's target for these labels."""
        raise NotImplementedError

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the predicted labels, in the form of the labels."""
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 in 0..1; for `multiclass` those of an image sum to one."""
        return outputs.float().softmax(dim=1)

    def scores(self, outputs: Tensor) -> Tensor:
        """Return (N, K) float32 that rank like the probabilities, without their rounding."""
        return self.probabilities(outputs)

    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Learn what `predict` needs from batches of (outputs, labels) of all training images."""
        raise NotImplementedError

    def metric_mask(self, labels: Tensor) -> Tensor | None:
        """Return a (N,) bool mask of the images that count for the metrics; None for all."""
        return None

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        """Return the divisor with which the criterion averages the loss of a batch."""
        return len(labels)

    def meter(self, device: torch.device) -> Meter:
        """Return a new meter for one pass over a split."""
        return Meter(self, device)
