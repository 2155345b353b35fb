"""The measure of images with a set of classes: mean average precision and F1."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.output_reader import OutputReader


def average_precision(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the average precision of each class, (K,) float64 on the CPU.

    scores: (N, K) float; labels: (N, K) zeros and ones. For each class, the images are ranked by
    their score. The result is the mean over the images of the class of the precision at their
    rank, where equal scores share the last of their ranks (Manning et al., "Introduction to
    Information Retrieval", 2008, section 8.4). It is nan for a class without images.
    """
    ranked, order = scores.cpu().T.contiguous().sort(dim=1, descending=True)
    positives = labels.cpu().T.gather(1, order)
    ranks = torch.arange(len(scores)).expand_as(ranked)
    ends_tie = torch.ones_like(ranked, dtype=torch.bool)
    ends_tie[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    # For each rank, the last rank with an equal score.
    last_of_tie = torch.where(ends_tie, ranks, len(scores)).flip(1).cummin(dim=1).values.flip(1)
    precision = positives.cumsum(dim=1).double() / (ranks + 1)
    return (positives * precision.gather(1, last_of_tie)).sum(dim=1) / positives.sum(dim=1)


class ClassSets:
    """Mean average precision and macro F1.

    Both are means over the classes that occur in the labels, and zero if no class occurs. The F1
    of a class is 2 TP / (2 TP + FP + FN).
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._device = device
        shape = (0, adapter.num_classes)
        # Scores and labels stay on the device, so that no batch makes the host wait for it.
        self._scores = [torch.zeros(shape, device=device)]
        self._labels = [torch.zeros(shape, dtype=torch.uint8, device=device)]
        self._counts = torch.zeros(3, adapter.num_classes, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        predicted = self._adapter.predict(outputs)
        self._scores.append(self._adapter.scores(outputs))
        self._labels.append(labels.to(torch.uint8))
        true_positives = predicted * labels
        indicators = (true_positives, predicted, labels)
        self._counts += torch.stack([indicator.sum(dim=0) for indicator in indicators])

    def compute(self) -> dict[str, float]:
        scores, labels = self._concatenated()
        true_positives, predicted, actual = self._counts.cpu()
        f1 = 2 * true_positives.double() / (predicted + actual)
        return {
            "mean_average_precision": _mean(average_precision(scores, labels)),
            "f1": _mean(f1[actual > 0]),
        }

    def state_dict(self) -> dict[str, Any]:
        scores, labels = self._concatenated()
        return {"scores": scores, "labels": labels, "counts": self._counts.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scores = [state["scores"].to(self._device)]
        self._labels = [state["labels"].to(self._device)]
        self._counts.copy_(state["counts"])

    def _concatenated(self) -> tuple[Tensor, Tensor]:
        self._scores, self._labels = [torch.cat(self._scores)], [torch.cat(self._labels)]
        return self._scores[0], self._labels[0]


def _mean(values: Tensor) -> float:
    """Return the mean of the values that are not nan; 0 if there are none."""
    valid = values[~values.isnan()]
    return valid.mean().item() if len(valid) else 0.0
