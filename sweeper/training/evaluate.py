"""Measuring a network on a split."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sweeper.training.experiment import Experiment


@dataclass(frozen=True)
class Predictions:
    """What a network says of a split, in the order of the split.

    probabilities: (N, K) float32, predicted and labels: (N,) int64, all on the CPU.
    """

    metrics: dict[str, float]
    probabilities: Tensor
    predicted: Tensor
    labels: Tensor

    def confusion(self) -> Tensor:
        """Return the (K, K) int64 confusion matrix, true classes in rows."""
        classes = self.probabilities.shape[1]
        pairs = self.labels * classes + self.predicted
        return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def worst_mistakes(self, count: int) -> Tensor:
        """Return the indices of the wrong images that the true class was denied most."""
        wrong = (self.predicted != self.labels).nonzero().squeeze(1)
        given = self.probabilities[wrong, self.labels[wrong]]
        return wrong[given.argsort()[:count]]


@torch.inference_mode()
def evaluate(experiment: Experiment, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return `loss` and `accuracy` of the network to keep."""
    model, criterion = experiment.eval_model.eval(), experiment.criterion
    meter = criterion.meter(experiment.device)
    for images, labels in batches:
        with experiment.autocast():
            outputs = model(images)
        meter.update(outputs, labels, criterion(outputs, labels))
    return meter.compute()


@torch.inference_mode()
def predict(experiment: Experiment, batches: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """Return the metrics and every prediction of the network to keep."""
    model, criterion = experiment.eval_model.eval(), experiment.criterion
    meter = criterion.meter(experiment.device)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    for images, labels in batches:
        with experiment.autocast():
            outputs = model(images)
        meter.update(outputs, labels, criterion(outputs, labels))
        seen.append((criterion.probabilities(outputs), criterion.predict(outputs), labels))
    probabilities, predicted, labels = (torch.cat(part).cpu() for part in zip(*seen, strict=True))
    return Predictions(meter.compute(), probabilities, predicted, labels)
