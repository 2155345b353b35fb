"""Adapters of losses whose target is an indicator vector: 1 for the classes of the image, else 0.

The vector is one-hot for an image with one class and multi-hot for an image with several. Losses
that treat each class separately accept both.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses.adapter import Adapter
from sweeper.losses.threshold import best_threshold
from sweeper.objectives import LabelType


class Indicator(Adapter):
    """The base class for one-hot targets, (N, K) float32; subclasses define the activation."""

    def target(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels, self.num_classes).float()


class OneHot(Indicator):
    """The adapter of regression losses: the outputs estimate the one-hot vector itself."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        # The outputs are already close to probabilities: they only need clipping and scaling.
        clipped = outputs.float().clamp_min(0.0) + torch.finfo(torch.float32).tiny
        return clipped / clipped.sum(dim=1, keepdim=True)


class Probabilities(Indicator):
    """The adapter of losses that compare the softmax of the outputs with the one-hot vector.

    Without the softmax, an absolute error is smallest at the median target, and that is 0 for every
    class that fewer than half of the images have.
    """

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1)


class Distribution(Indicator):
    """The adapter of divergences between log-probabilities and the one-hot distribution."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(dim=1)

    def target(self, labels: Tensor) -> Tensor:
        indicator = super().target(labels)
        if not getattr(self.criterion, "log_target", False):
            return indicator
        return indicator.clamp_min(torch.finfo(torch.float32).tiny).log()


class Rate(Indicator):
    """The adapter of the Poisson likelihood: the target is the rate of each class, 1 or 0.

    The outputs are log-rates. A criterion with `log_input=False` gets their exponential, which
    gives the same loss.
    """

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs if getattr(self.criterion, "log_input", True) else outputs.exp()


class Logits(Indicator):
    """The adapter of losses that judge the logit of each class by itself."""

    label_types: ClassVar[frozenset[LabelType]] = frozenset({"multiclass", "multilabel"})

    def target(self, labels: Tensor) -> Tensor:
        return labels.float() if self.label_type == "multilabel" else super().target(labels)

    def predict(self, outputs: Tensor) -> Tensor:
        if self.label_type == "multilabel":
            return (outputs > 0).long()  # a probability above one half
        return super().predict(outputs)

    def scores(self, outputs: Tensor) -> Tensor:
        # In float32, the sigmoid of any logit above 17 is 1, which would tie different logits.
        return outputs.float() if self.label_type == "multilabel" else super().scores(outputs)

    def probabilities(self, outputs: Tensor) -> Tensor:
        if self.label_type == "multilabel":
            return outputs.float().sigmoid()
        # In logarithms, because the sigmoids of an image may all underflow to 0.
        return functional.logsigmoid(outputs.float()).softmax(dim=1)


class Sigmoids(Logits):
    """The adapter of binary cross entropy, whose input is one probability for each class."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()


class Signs(Logits):
    """The adapter of soft margins: the target is 1 for the classes of the image, else -1."""

    def target(self, labels: Tensor) -> Tensor:
        return 2.0 * super().target(labels) - 1.0


class ClassList(Logits):
    """The adapter of the multi-label margin, whose target lists the classes, padded with -1.

    The loss depends only on differences between the outputs of an image. It determines
    neither their mean nor the output above which a class is present. The score of a class is
    therefore its output minus the mean output of the image, and a class is predicted if its
    score is above one threshold, learned from the training images.
    """

    threshold: Tensor

    def __init__(
        self, criterion: nn.Module, num_classes: int, label_type: LabelType = "multiclass"
    ) -> None:
        super().__init__(criterion, num_classes, label_type)
        self.register_buffer("threshold", torch.zeros(()))

    @property
    def needs_training_outputs(self) -> bool:
        return self.label_type == "multilabel"

    def target(self, labels: Tensor) -> Tensor:
        present = super().target(labels).bool()
        classes = torch.arange(self.num_classes, device=labels.device).expand_as(present)
        present_first = torch.where(present, classes, self.num_classes).sort(dim=1).values
        return torch.where(present_first < self.num_classes, present_first, -1)

    @torch.no_grad()
    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Find the threshold with the best macro F1."""
        batches = [(centred(batch), labels) for batch, labels in outputs]
        scores, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        self.threshold.copy_(best_threshold(scores, labels))

    def predict(self, outputs: Tensor) -> Tensor:
        return super().predict(self._relative_to_threshold(outputs))

    def scores(self, outputs: Tensor) -> Tensor:
        return super().scores(self._relative_to_threshold(outputs))

    def probabilities(self, outputs: Tensor) -> Tensor:
        return super().probabilities(self._relative_to_threshold(outputs))

    def _relative_to_threshold(self, outputs: Tensor) -> Tensor:
        return centred(outputs) - self.threshold


def centred(outputs: Tensor) -> Tensor:
    """Return each output (N, K) minus the mean output of its image, in float32."""
    return outputs.float() - outputs.float().mean(dim=1, keepdim=True)
