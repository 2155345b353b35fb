"""Losses that compare every output with an indicator: one for a class that is there, else zero.

The indicators of an image are a one-hot vector where it has one class, and a multi-hot vector
where it has several, so the same losses serve both wherever each output is judged by itself.
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
    """For losses whose target is the one-hot vector; subclasses say the activation."""

    def target(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels, self.num_classes).float()


class OneHot(Indicator):
    """For errors of regression: the outputs estimate the one-hot vector itself."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        # The outputs are near the probabilities, so they only want clipping and scaling.
        clipped = outputs.float().clamp_min(0.0) + torch.finfo(torch.float32).tiny
        return clipped / clipped.sum(dim=1, keepdim=True)


class Probabilities(Indicator):
    """For errors of the class probabilities, a softmax, against the one-hot vector.

    An absolute error of plain outputs has its optimum at their median, which is zero for a class
    that fewer than half of the images have.
    """

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1)


class Distribution(Indicator):
    """For divergences of distributions: log-probabilities against the one-hot distribution."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(dim=1)

    def target(self, labels: Tensor) -> Tensor:
        indicator = super().target(labels)
        if not getattr(self.criterion, "log_target", False):
            return indicator
        return indicator.clamp_min(torch.finfo(torch.float32).tiny).log()


class Rate(Indicator):
    """For the Poisson likelihood: the rate of a class, expected once in an image of it.

    The outputs are log-rates. A criterion that wants rates (`log_input=False`) gets their
    exponential; both are the same loss.
    """

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs if getattr(self.criterion, "log_input", True) else outputs.exp()


class Logits(Indicator):
    """For losses that judge each class by itself, on logits."""

    label_types: ClassVar[frozenset[LabelType]] = frozenset({"multiclass", "multilabel"})

    def target(self, labels: Tensor) -> Tensor:
        return labels.float() if self.label_type == "multilabel" else super().target(labels)

    def predict(self, outputs: Tensor) -> Tensor:
        if self.label_type == "multilabel":
            return (outputs > 0).long()  # a probability above one half
        return super().predict(outputs)

    def scores(self, outputs: Tensor) -> Tensor:
        # A sigmoid in float32 is one from 17 on: it would tie what the outputs tell apart.
        return outputs.float() if self.label_type == "multilabel" else super().scores(outputs)

    def probabilities(self, outputs: Tensor) -> Tensor:
        each = outputs.float().sigmoid()
        if self.label_type == "multilabel":
            return each
        # In logarithms, since the sigmoids of one image may all be too small to divide by.
        return functional.logsigmoid(outputs.float()).softmax(dim=1)


class Sigmoids(Logits):
    """For binary cross entropy, which is defined on one probability a class."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()


class Signs(Logits):
    """For soft margins: plus one for a class that is there, minus one for any other."""

    def target(self, labels: Tensor) -> Tensor:
        return 2.0 * super().target(labels) - 1.0


class ClassList(Logits):
    """For the multi-label margin: the classes that are there, then -1 for the places left.

    The loss sees differences between the outputs of one image and nothing else, so it leaves
    open what an image's outputs lie around, and where a class begins to be there. A class is
    therefore scored by its distance to the mean output of the image, and predicted above the
    one threshold that is best for the training images.
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
        first = torch.where(present, classes, self.num_classes).sort(dim=1).values
        return torch.where(first < self.num_classes, first, -1)

    @torch.no_grad()
    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take the threshold with the best F1."""
        batches = [(centred(each), labels) for each, labels in outputs]
        scores, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        self.threshold.copy_(best_threshold(scores, labels))

    def predict(self, outputs: Tensor) -> Tensor:
        return super().predict(self._beyond(outputs))

    def scores(self, outputs: Tensor) -> Tensor:
        return super().scores(self._beyond(outputs))

    def probabilities(self, outputs: Tensor) -> Tensor:
        return super().probabilities(self._beyond(outputs))

    def _beyond(self, outputs: Tensor) -> Tensor:
        return centred(outputs) - self.threshold


def centred(outputs: Tensor) -> Tensor:
    """Return each output's distance to the mean output of its image, in float32."""
    return outputs.float() - outputs.float().mean(dim=1, keepdim=True)
