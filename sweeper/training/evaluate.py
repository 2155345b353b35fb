"""Measuring a network on a split."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sweeper.losses.meter import Meter
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


def evaluate(experiment: Experiment, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return `loss` and `accuracy` of the network to keep."""
    meter = experiment.criterion.meter(experiment.device)
    for _ in _measured(experiment, batches, meter):
        pass
    return meter.compute()


def predict(experiment: Experiment, batches: Iterable[tuple[Tensor, Tensor]]) -> Predictions:
    """Return the metrics and every prediction of the network to keep."""
    criterion = experiment.criterion
    meter = criterion.meter(experiment.device)
    seen = [
        (criterion.probabilities(outputs), criterion.predict(outputs), labels)
        for outputs, labels in _measured(experiment, batches, meter)
    ]
    probabilities, predicted, labels = (torch.cat(part).cpu() for part in zip(*seen, strict=True))
    return Predictions(meter.compute(), probabilities, predicted, labels)


@torch.inference_mode()
def _measured(
    experiment: Experiment, batches: Iterable[tuple[Tensor, Tensor]], meter: Meter
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs and labels of each batch once they are measured."""
    model, criterion = experiment.eval_model.eval(), experiment.criterion
    for images, labels in batches:
        with experiment.autocast():
            outputs = model(images)
        meter.update(outputs, labels, criterion(outputs, labels))
        yield outputs, labels
