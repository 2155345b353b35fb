"""The loss and the metrics of one pass over a split."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.measures import measure_of
from sweeper.metrics.output_reader import OutputReader


class Meter:
    """The mean loss of a pass over a split, and the measure of its label type.

    The sums stay on the device, so that no batch makes the host wait for it.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        # float64, because the sums run over many batches; mps has none.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros((), dtype=dtype, device=device)
        self._weight = torch.zeros((), dtype=dtype, device=device)
        self._measure = measure_of(adapter, device)
        self._count = 0

    def update(self, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: its outputs and labels, as the adapter takes them, and its scalar loss."""
        weight = self._adapter.loss_weight(labels)
        self._loss += loss.detach() * (1 if self._adapter.reduction == "sum" else weight)
        self._weight += weight
        self._measure.update(outputs.detach(), labels)
        self._count += len(labels)

    def compute(self) -> dict[str, float]:
        """Return the metrics, and `loss`: the mean of the criterion over all images.

        It is the criterion's value for all images as one batch, unless its reduction is a sum.
        """
        loss = self._loss.item() / (self._weight.item() or 1.0)
        return {"loss": loss, **self._measure.compute()}

    @property
    def count(self) -> int:
        """The number of images so far."""
        return self._count

    def state_dict(self) -> dict[str, Any]:
        """Return the state, to continue in the middle of an epoch."""
        return {
            "loss": self._loss.item(),
            "weight": self._weight.item(),
            "measure": self._measure.state_dict(),
            "count": self._count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of an interrupted pass."""
        self._loss.fill_(state["loss"])
        self._weight.fill_(state["weight"])
        self._measure.load_state_dict(state["measure"])
        self._count = state["count"]
