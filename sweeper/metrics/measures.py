"""The measure of predictions for each label type."""

from typing import Any, Protocol

import torch
from torch import Tensor

from sweeper.metrics.class_sets import ClassSets
from sweeper.metrics.output_reader import OutputReader
from sweeper.metrics.transcripts import Transcripts


class Measure(Protocol):
    """A metric or several, accumulated over the batches of a split."""

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add a batch: the outputs of the network and the labels, as the adapter takes them."""

    def compute(self) -> dict[str, float]:
        """Return the metrics of all batches so far by name."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, to continue in the middle of an epoch."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of an interrupted pass."""


def measure_of(adapter: OutputReader, device: torch.device) -> Measure:
    """Return a new measure for the adapter's label type."""
    if adapter.label_type == "multilabel":
        return ClassSets(adapter, device)
    if adapter.label_type == "sequence":
        return Transcripts(adapter, device)
    return Accuracy(adapter, device)


class Accuracy:
    """The share of images whose predicted class is right.

    The counts stay on the device, so that no batch makes the host wait for it.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._n_correct = torch.zeros((), dtype=torch.int64, device=device)
        self._n_images = torch.zeros((), dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        correct = self._adapter.predict(outputs) == labels
        mask = self._adapter.metric_mask(labels)
        self._n_correct += correct.sum() if mask is None else (correct & mask).sum()
        self._n_images += len(labels) if mask is None else mask.sum()

    def compute(self) -> dict[str, float]:
        return {"accuracy": self._n_correct.item() / (self._n_images.item() or 1)}

    def state_dict(self) -> dict[str, Any]:
        return {"correct": self._n_correct.item(), "scored": self._n_images.item()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._n_correct.fill_(state["correct"])
        self._n_images.fill_(state["scored"])
