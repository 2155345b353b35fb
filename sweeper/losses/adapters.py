"""How logits and labels reach a loss, and how a class is read off the outputs.

A loss option names its criterion (`_target_`, torch's own class) and its adapter (`adapter`).
An adapter owns all that differs between kinds of loss: the width of the network's output, the
form of the target, the prediction, and the meter that an epoch is measured with.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses.meter import Meter


class Adapter(nn.Module):
    """A criterion on `(N, K)` outputs and `(N,)` int64 labels; subclasses say the target."""

    def __init__(self, criterion: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.criterion = criterion
        self.num_classes = num_classes
        self.reduction: str = getattr(criterion, "reduction", "mean")

    @property
    def n_outputs(self) -> int:
        """The number of outputs that the network must have."""
        return self.num_classes

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch as a scalar; an unreduced loss is averaged."""
        # Half precision is for the network; a loss sums many small terms.
        loss: Tensor = self.criterion(outputs.float(), self.target(labels))
        return loss.mean() if loss.ndim else loss

    def target(self, labels: Tensor) -> Tensor:
        """Return what the criterion compares the outputs with."""
        raise NotImplementedError

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the predicted class of each image: `(N, K)` outputs to `(N,)` int64."""
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return a score a class that sums to one: `(N, K)` outputs to `(N, K)` float32."""
        return outputs.float().softmax(dim=1)

    def scored(self, labels: Tensor) -> Tensor | None:
        """Return which images count for the metrics as `(N,)` bool; None for all of them."""
        return None

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        """Return what the criterion divides the summed loss of a batch by."""
        return len(labels)

    def meter(self, device: torch.device) -> Meter:
        """Return a fresh meter for one pass over a split."""
        return Meter(self, device)


class ClassIndex(Adapter):
    """For criteria that take the class index itself, such as cross entropy and multi-margin."""

    def __init__(self, criterion: nn.Module, num_classes: int) -> None:
        super().__init__(criterion, num_classes)
        index = getattr(criterion, "ignore_index", -100)
        self.ignored: int | None = index if 0 <= index < num_classes else None

    def target(self, labels: Tensor) -> Tensor:
        return labels

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if self.ignored is not None and bool((labels == self.ignored).all()):
            return outputs.float().sum() * 0.0  # the mean of no image at all would be nan
        return super().forward(outputs, labels)

    def scored(self, labels: Tensor) -> Tensor | None:
        return None if self.ignored is None else labels != self.ignored

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        if not isinstance(self.criterion, nn.CrossEntropyLoss) or self.reduction != "mean":
            return len(labels)  # cross entropy alone averages over weights, not over images
        scored, weight = self.scored(labels), self.criterion.weight
        if weight is None:
            return len(labels) if scored is None else scored.sum()
        weights = weight[labels]
        return weights.sum() if scored is None else weights[scored].sum()


class OneHot(Adapter):
    """For criteria that compare every output with one for the true class and zero for the rest."""

    def target(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels, self.num_classes).float()

    def probabilities(self, outputs: Tensor) -> Tensor:
        # The outputs estimate the one-hot vector itself, so they only want clipping and scaling.
        clipped = outputs.float().clamp_min(0.0) + torch.finfo(torch.float32).tiny
        return clipped / clipped.sum(dim=1, keepdim=True)
