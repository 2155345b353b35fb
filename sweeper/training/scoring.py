"""Measuring a network on a split."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses import Adapter
from sweeper.metrics.meter import Meter

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Classifier:
    """A network, and the loss that knows how to read its outputs."""

    model: nn.Module
    adapter: Adapter
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]

    @torch.inference_mode()
    def outputs(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield outputs and labels of each batch."""
        model = self.model.eval()
        for images, labels in batches:
            with self.autocast():
                outputs = model(images)
            yield outputs, labels


@dataclass(frozen=True)
class ClassScores:
    """Numbers of images of one class: predicted rightly, predicted at all, and labelled so."""

    true_positives: int
    predicted: int
    actual: int

    @property
    def precision(self) -> float:
        """The share of the predicted images that are of the class; 0 if none was predicted."""
        return self.true_positives / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """The share of the class's images that were predicted; 0 for a class without images."""
        return self.true_positives / max(self.actual, 1)


@dataclass(frozen=True)
class Predictions:
    """What a network says of a split, in the order of the split; everything is on the CPU.

    probabilities: (N, K) float32 for classes, (N,) of the whole string for sequences; scores are
    in their order, but not rounded to one; predicted and labels: int64, (N,) for one class an
    image, (N, K) for a set, (N, L) for a sequence.
    """

    metrics: dict[str, float]
    probabilities: Tensor
    scores: Tensor
    predicted: Tensor
    labels: Tensor

    @property
    def wrong(self) -> Tensor:
        """Whether anything of an image was mistaken: (N,) bool."""
        differs = self.predicted != self.labels
        return differs if differs.ndim == 1 else differs.any(dim=1)

    def confusion(self) -> Tensor:
        """Return the (K, K) int64 confusion matrix of one class an image, true ones in rows."""
        classes = self.probabilities.shape[1]
        pairs = self.labels * classes + self.predicted
        return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def by_class(self, num_classes: int) -> list[ClassScores]:
        """Return how well each class was found; not for sequences."""
        predicted, labels = (
            (t if t.ndim == 2 else functional.one_hot(t, num_classes)).bool()
            for t in (self.predicted, self.labels)
        )
        counts = (mask.sum(dim=0).tolist() for mask in (predicted & labels, predicted, labels))
        return [ClassScores(*of_class) for of_class in zip(*counts, strict=True)]

    def worst_mistakes(self, count: int) -> Tensor:
        """Return the indices of the mistaken images that the truth was denied most."""
        wrong = self.wrong.nonzero().squeeze(1)
        probabilities, labels = self.probabilities[wrong], self.labels[wrong]
        if labels.ndim == 1:
            given = probabilities.gather(1, labels[:, None]).squeeze(1)
        elif probabilities.ndim == 1:
            given = -probabilities  # of a string that is wrong
        else:
            given = -(probabilities - labels).abs().mean(dim=1)
        return wrong[given.argsort()[:count]]


def learn_from_training(classifier: Classifier, batches: Batches) -> None:
    """Let the loss take in the outputs of all training images, where its predictions need them."""
    if classifier.adapter.needs_training_outputs:
        classifier.adapter.learn(classifier.outputs(batches))


def measure(classifier: Classifier, batches: Batches) -> dict[str, float]:
    """Return `loss` and the measures of the labels' type."""
    meter = classifier.adapter.meter(classifier.device)
    for _ in _measured(classifier, batches, meter):
        pass
    return meter.compute()


def predictions_of(classifier: Classifier, batches: Batches) -> Predictions:
    """Return the metrics and every prediction."""
    adapter = classifier.adapter
    meter = adapter.meter(classifier.device)
    seen = [
        (
            adapter.probabilities(outputs),
            adapter.scores(outputs),
            *_of_one_length(adapter.predict(outputs), labels),
        )
        for outputs, labels in _measured(classifier, batches, meter)
    ]
    return Predictions(
        meter.compute(), *(torch.cat(part).cpu() for part in zip(*seen, strict=True))
    )


def _measured(
    classifier: Classifier, batches: Batches, meter: Meter
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs and labels of each batch once they are measured."""
    for outputs, labels in classifier.outputs(batches):
        with torch.inference_mode():
            meter.update(outputs, labels, classifier.adapter(outputs, labels))
        yield outputs, labels


def _of_one_length(predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with as many columns, filled up with -1; labels (N,) stay as they are."""
    if labels.ndim == 1:
        return predicted, labels
    length = max(predicted.shape[1], labels.shape[1])
    padded = (functional.pad(t, (0, length - t.shape[1]), value=-1) for t in (predicted, labels))
    return next(padded), next(padded)
