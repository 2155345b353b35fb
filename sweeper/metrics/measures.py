"""What is measured of predictions, by the type of the labels."""

from typing import Any, Protocol

import torch
from torch import Tensor

from sweeper.metrics.class_sets import ClassSets
from sweeper.metrics.output_reader import OutputReader
from sweeper.metrics.transcripts import Transcripts


class Measure(Protocol):
    """Gathers batches, and says at the end how good the predictions were."""

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add a batch: the outputs of the network, and the labels."""

    def compute(self) -> dict[str, float]:
        """Return the measures of all batches so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return what was gathered, to go on in the middle of an epoch."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what an interrupted pass had gathered."""


def measure_of(adapter: OutputReader, device: torch.device) -> Measure:
    """Return a fresh measure for the adapter's type of labels."""
    if adapter.label_type == "multilabel":
        return ClassSets(adapter, device)
    if adapter.label_type == "sequence":
        return Transcripts(adapter, device)
    return Accuracy(adapter, device)


class Accuracy:
    """The share of images whose class is the right one; counted on the device."""

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._scored = torch.zeros((), dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        hits = self._adapter.predict(outputs) == labels
        scored = self._adapter.scored(labels)
        self._correct += hits.sum() if scored is None else (hits & scored).sum()
        self._scored += len(labels) if scored is None else scored.sum()

    def compute(self) -> dict[str, float]:
        return {"accuracy": self._correct.item() / (self._scored.item() or 1)}

    def state_dict(self) -> dict[str, Any]:
        return {"correct": self._correct.item(), "scored": self._scored.item()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._correct.fill_(state["correct"])
        self._scored.fill_(state["scored"])
