"""What one pass over a split measures."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.measures import measure_of
from sweeper.metrics.output_reader import OutputReader


class Meter:
    """Sums the loss on the device, so that no batch waits for the host, and measures predictions.

    What is measured of the predictions depends on the type of the labels; see `measures`.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        # Running sums of floats: float64 where the device has it (mps does not).
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros((), dtype=kind, device=device)
        self._weight = torch.zeros((), dtype=kind, device=device)
        self._measure = measure_of(adapter, device)
        self._count = 0

    def update(self, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: its outputs, labels and scalar loss."""
        weight = self._adapter.loss_weight(labels)
        self._loss += loss.detach() * (1 if self._adapter.reduction == "sum" else weight)
        self._weight += weight
        self._measure.update(outputs.detach(), labels)
        self._count += len(labels)

    def compute(self) -> dict[str, float]:
        """Return `loss`, as the criterion gives it for all images at once, and the measures."""
        loss = self._loss.item() / (self._weight.item() or 1.0)
        return {"loss": loss, **self._measure.compute()}

    @property
    def count(self) -> int:
        """Images seen so far."""
        return self._count

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, to go on in the middle of an epoch."""
        return {
            "loss": self._loss.item(),
            "weight": self._weight.item(),
            "measure": self._measure.state_dict(),
            "count": self._count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the sums of an interrupted pass."""
        self._loss.fill_(state["loss"])
        self._weight.fill_(state["weight"])
        self._measure.load_state_dict(state["measure"])
        self._count = state["count"]
