"""What one pass over a split measures."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from sweeper.losses.adapters import Adapter


class Meter:
    """Sums loss and hits on the device, so that no batch waits for the host."""

    def __init__(self, adapter: "Adapter", device: torch.device) -> None:
        self._adapter = adapter
        # Running sums of floats: float64 where the device has it (mps does not).
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._sums = {
            "loss": torch.zeros((), dtype=kind, device=device),
            "weight": torch.zeros((), dtype=kind, device=device),
            "correct": torch.zeros((), dtype=torch.int64, device=device),
            "scored": torch.zeros((), dtype=torch.int64, device=device),
        }
        self._count = 0

    def update(self, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: its outputs `(N, K)`, labels `(N,)` and scalar loss."""
        adapter, sums = self._adapter, self._sums
        hits = adapter.predict(outputs.detach()) == labels
        scored = adapter.scored(labels)
        weight = adapter.loss_weight(labels)
        sums["loss"] += loss.detach() * (1 if adapter.reduction == "sum" else weight)
        sums["weight"] += weight
        sums["correct"] += hits.sum() if scored is None else (hits & scored).sum()
        sums["scored"] += len(labels) if scored is None else scored.sum()
        self._count += len(labels)

    def compute(self) -> dict[str, float]:
        """Return `loss`, as the criterion gives it for all images at once, and `accuracy`."""
        sums = {name: value.item() for name, value in self._sums.items()}
        return {
            "loss": sums["loss"] / (sums["weight"] or 1.0),
            "accuracy": sums["correct"] / (sums["scored"] or 1.0),
        }

    @property
    def count(self) -> int:
        """Images seen so far."""
        return self._count

    def state_dict(self) -> dict[str, float]:
        """Return the sums, to go on in the middle of an epoch."""
        return {name: value.item() for name, value in self._sums.items()} | {"count": self._count}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up the sums of an interrupted pass."""
        for name, value in self._sums.items():
            value.fill_(state[name])
        self._count = int(state["count"])
