"""Adapters for losses whose target is a class index."""

from torch import Tensor, nn

from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType


class ClassIndex(Adapter):
    """The adapter of losses of logits, such as cross entropy and multi-margin."""

    def __init__(
        self, criterion: nn.Module, num_classes: int, label_type: LabelType = "multiclass"
    ) -> None:
        super().__init__(criterion, num_classes, label_type)
        index = getattr(criterion, "ignore_index", -100)
        self.ignored_class: int | None = index if 0 <= index < num_classes else None
        weight = getattr(criterion, "weight", None)
        has_zero_weight = isinstance(weight, Tensor) and bool((weight == 0).any())
        self._batch_may_weigh_zero = self.ignored_class is not None or has_zero_weight

    def target(self, labels: Tensor) -> Tensor:
        return labels

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        if self._batch_may_weigh_zero and self.loss_weight(labels) == 0:
            return outputs.float().sum() * 0.0  # the criterion would divide by zero
        return super().forward(outputs, labels)

    def metric_mask(self, labels: Tensor) -> Tensor | None:
        return None if self.ignored_class is None else labels != self.ignored_class

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        weighted = isinstance(self.criterion, nn.CrossEntropyLoss | nn.NLLLoss)
        if not weighted or self.reduction != "mean":
            return len(labels)  # other criteria divide by the number of images
        mask, class_weight = self.metric_mask(labels), self.criterion.weight
        if not isinstance(class_weight, Tensor):
            return len(labels) if mask is None else mask.sum()
        weights = class_weight[labels]
        return weights.sum() if mask is None else weights[mask].sum()


class LogProbabilities(ClassIndex):
    """The adapter of negative log likelihood, whose input is log-probabilities."""

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(dim=1)
