"""Losses that are told the class by its index."""

from torch import Tensor, nn

from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType


class ClassIndex(Adapter):
    """For losses of logits, such as cross entropy and multi-margin."""

    def __init__(
        self, criterion: nn.Module, num_classes: int, label_type: LabelType = "multiclass"
    ) -> None:
        super().__init__(criterion, num_classes, label_type)
        index = getattr(criterion, "ignore_index", -100)
        self.ignored: int | None = index if 0 <= index < num_classes else None
        weight = getattr(criterion, "weight", None)
        weightless = isinstance(weight, Tensor) and bool((weight == 0).any())
        self._may_weigh_nothing = self.ignored is not None or weightless

    def target(self, labels: Tensor) -> Tensor:
        return labels

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if self._may_weigh_nothing and self.loss_weight(labels) == 0:
            return outputs.float().sum() * 0.0  # the mean of nothing at all would be nan
        return super().forward(outputs, labels)

    def scored(self, labels: Tensor) -> Tensor | None:
        return None if self.ignored is None else labels != self.ignored

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        averages = isinstance(self.criterion, nn.CrossEntropyLoss | nn.NLLLoss)
        if not averages or self.reduction != "mean":
            return len(labels)  # only these two average over weights, not over images
        scored, weight = self.scored(labels), self.criterion.weight
        if not isinstance(weight, Tensor):
            return len(labels) if scored is None else scored.sum()
        weights = weight[labels]
        return weights.sum() if scored is None else weights[scored].sum()


class LogProbabilities(ClassIndex):
    """For negative log likelihood, which is defined on log-probabilities over the classes."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(dim=1)
