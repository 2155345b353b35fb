"""Metrics and predictions of a network on a split."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses import Adapter
from sweeper.metrics.meter import Meter

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images (N, C, H, W) float32, ready for the network, and their labels, int64."""


@dataclass(frozen=True)
class Classifier:
    """A network with the adapter that reads its outputs, on a device and in a precision."""

    model: nn.Module
    adapter: Adapter
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]

    @torch.inference_mode()
    def outputs(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield outputs and labels of each batch, with the network in evaluation mode.

        outputs: (N, K), or (N, T, K) for strings, in the precision of `autocast`.
        """
        model = self.model.eval()
        for images, labels in batches:
            with self.autocast():
                outputs = model(images)
            yield outputs, labels


@dataclass(frozen=True)
class ClassScores:
    """Counts of images for one class, and the precision and recall that follow from them."""

    true_positives: int
    """Images of the class that were predicted to be of the class."""
    predicted: int
    """Images that were predicted to be of the class."""
    actual: int
    """Images of the class."""

    @property
    def precision(self) -> float:
        """True positives as a share of the predicted images; 0 without predicted images."""
        return self.true_positives / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """True positives as a share of the class's images; 0 without images of the class."""
        return self.true_positives / max(self.actual, 1)


@dataclass(frozen=True)
class Predictions:
    """Metrics and predictions of all N images of a split, in the split's order, on the CPU.

    `predicted` and `labels` are int64: (N,) classes for `multiclass`, (N, K) zeros and ones for
    `multilabel`, (N, L) classes, padded with -1, for `sequence`.
    """

    metrics: dict[str, float]
    probabilities: Tensor
    """(N, K) float32 of each class; for `sequence`, (N,) float32 of the predicted string."""
    scores: Tensor
    """In the shape and order of `probabilities`, but without rounding near 1."""
    predicted: Tensor
    labels: Tensor
    counted: Tensor
    """(N,) bool: the images that count for the metrics, which those of `ignore_index` do not."""

    @property
    def wrong(self) -> Tensor:
        """Images that count, and whose prediction differs from the label in any way: (N,) bool."""
        differs = self.predicted != self.labels
        return (differs if differs.ndim == 1 else differs.any(dim=1)) & self.counted

    def confusion(self) -> Tensor:
        """Return the (K, K) int64 confusion matrix, true classes in rows; for `multiclass` only.

        Images that do not count are left out.
        """
        classes = self.probabilities.shape[1]
        pairs = (self.labels * classes + self.predicted)[self.counted]
        return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def by_class(self, num_classes: int) -> list[ClassScores]:
        """Return the scores of each class, over the images that count; not for `sequence`."""
        predicted, labels = (
            (t if t.ndim == 2 else functional.one_hot(t, num_classes)).bool()
            for t in (self.predicted[self.counted], self.labels[self.counted])
        )
        counts = (mask.sum(dim=0).tolist() for mask in (predicted & labels, predicted, labels))
        return [ClassScores(*class_counts) for class_counts in zip(*counts, strict=True)]

    def worst_mistakes(self, count: int) -> Tensor:
        """Return the indices of up to `count` wrong predictions, the most confident ones first.

        The order follows the probability of the true class (`multiclass`), the mean difference
        between probabilities and labels (`multilabel`), or the probability of the predicted
        string (`sequence`). Returns (count,) int64.
        """
        wrong = self.wrong.nonzero().squeeze(1)
        probabilities, labels = self.probabilities[wrong], self.labels[wrong]
        if labels.ndim == 1:
            agreement = probabilities.gather(1, labels[:, None]).squeeze(1)
        elif probabilities.ndim == 1:
            agreement = -probabilities  # the predicted string is wrong
        else:
            agreement = -(probabilities - labels).abs().mean(dim=1)
        return wrong[agreement.argsort()[:count]]


def learn_from_training(classifier: Classifier, batches: Batches) -> None:
    """Pass the outputs of all training images to an adapter whose predictions depend on them."""
    if classifier.adapter.needs_training_outputs:
        classifier.adapter.learn(classifier.outputs(batches))


def measure(classifier: Classifier, batches: Batches) -> dict[str, float]:
    """Return `loss` and the measures of the label type, such as `accuracy`."""
    meter = classifier.adapter.meter(classifier.device)
    for _ in _measured(classifier, batches, meter):
        pass
    return meter.compute()


def predictions_of(classifier: Classifier, batches: Batches) -> Predictions:
    """Return the metrics and the prediction for every image."""
    adapter = classifier.adapter
    meter = adapter.meter(classifier.device)
    rows = [
        (
            adapter.probabilities(outputs),
            adapter.scores(outputs),
            *_padded_to_one_length(adapter.predict(outputs), labels),
            _counted(adapter, labels),
        )
        for outputs, labels in _measured(classifier, batches, meter)
    ]
    return Predictions(
        meter.compute(), *(torch.cat(column).cpu() for column in zip(*rows, strict=True))
    )


def _counted(adapter: Adapter, labels: Tensor) -> Tensor:
    mask = adapter.metric_mask(labels)
    return torch.ones(len(labels), dtype=torch.bool) if mask is None else mask


def _measured(
    classifier: Classifier, batches: Batches, meter: Meter
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs and labels of each batch after adding them to the meter."""
    for outputs, labels in classifier.outputs(batches):
        with torch.inference_mode():
            meter.update(outputs, labels, classifier.adapter(outputs, labels))
        yield outputs, labels


def _padded_to_one_length(predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, L) predictions and labels padded with -1 to the same L; (N,) labels need none."""
    if labels.ndim == 1:
        return predicted, labels
    length = max(predicted.shape[1], labels.shape[1])
    padded = (functional.pad(t, (0, length - t.shape[1]), value=-1) for t in (predicted, labels))
    return next(padded), next(padded)
