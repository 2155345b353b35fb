"""What is measured where an image has a set of classes: rankings of images, and predicted sets."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.output_reader import OutputReader


def average_precision(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the average precision of each class as (K,) float64 on the CPU.

    scores: (N, K); labels: (N, K) zeros and ones. Images are ranked by their score for a class;
    each that has the class is worth the share of such images down to its rank, those of the same
    score counted as one rank (Manning et al., "Introduction to Information Retrieval", 2008,
    section 8.4). It is nan for a class that no image has.
    """
    ranked, order = scores.cpu().T.contiguous().sort(dim=1, descending=True)
    hits = labels.cpu().T.gather(1, order)
    places = torch.arange(len(scores)).expand_as(ranked)
    ends = torch.ones_like(ranked, dtype=torch.bool)
    ends[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    # The place where a run of equal scores ends, for every place in it.
    last = torch.where(ends, places, len(scores)).flip(1).cummin(dim=1).values.flip(1)
    precision = hits.cumsum(dim=1).double() / (places + 1)
    return (hits * precision.gather(1, last)).sum(dim=1) / hits.sum(dim=1)


class ClassSets:
    """Mean average precision, and F1: the means over the classes that occur in the labels.

    F1 is that of a class, 2 TP / (2 TP + FP + FN), averaged with every class weighing the same
    (macro). Both are zero where no class occurs at all.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._device = device
        shape = (0, adapter.num_classes)
        # What makes a ranking is kept on the device, so that no batch waits for the host.
        self._scores = [torch.zeros(shape, device=device)]
        self._labels = [torch.zeros(shape, dtype=torch.uint8, device=device)]
        self._counts = torch.zeros(3, adapter.num_classes, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        predicted = self._adapter.predict(outputs)
        self._scores.append(self._adapter.scores(outputs))
        self._labels.append(labels.to(torch.uint8))
        hits = predicted * labels
        self._counts += torch.stack([part.sum(dim=0) for part in (hits, predicted, labels)])

    def compute(self) -> dict[str, float]:
        scores, labels = self._joined()
        hits, predicted, present = self._counts.cpu()
        f1 = 2 * hits.double() / (predicted + present)
        return {
            "mean_average_precision": _mean(average_precision(scores, labels)),
            "f1": _mean(f1[present > 0]),
        }

    def state_dict(self) -> dict[str, Any]:
        scores, labels = self._joined()
        return {"scores": scores, "labels": labels, "counts": self._counts.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scores = [state["scores"].to(self._device)]
        self._labels = [state["labels"].to(self._device)]
        self._counts.copy_(state["counts"])

    def _joined(self) -> tuple[Tensor, Tensor]:
        self._scores, self._labels = [torch.cat(self._scores)], [torch.cat(self._labels)]
        return self._scores[0], self._labels[0]


def _mean(values: Tensor) -> float:
    known = values[~values.isnan()]
    return known.mean().item() if len(known) else 0.0
