"""What one pass over a split measures."""

from collections.abc import Callable

import torch
from torch import Tensor


class Meter:
    """Sums loss and hits on the device, so that no batch waits for the host.

    `summed` says that the criterion adds the losses of a batch up instead of averaging them.
    """

    def __init__(
        self, predict: Callable[[Tensor], Tensor], *, summed: bool, device: torch.device
    ) -> None:
        self._predict = predict
        self._summed = summed
        # Running sums of floats: float64 where the device has it (mps does not).
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros((), dtype=kind, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._count = 0

    def update(self, outputs: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: its outputs `(N, K)`, labels `(N,)` and scalar loss."""
        count = len(labels)
        self._loss += loss.detach() if self._summed else loss.detach() * count
        self._correct += (self._predict(outputs.detach()) == labels).sum()
        self._count += count

    def compute(self) -> dict[str, float]:
        """Return `loss` (mean of an image) and `accuracy` (0 to 1)."""
        count = max(self._count, 1)
        return {"loss": self._loss.item() / count, "accuracy": self._correct.item() / count}

    @property
    def count(self) -> int:
        """Images seen so far."""
        return self._count

    def state_dict(self) -> dict[str, float | int]:
        """Return the sums, to go on in the middle of an epoch."""
        return {
            "loss": self._loss.item(),
            "correct": int(self._correct.item()),
            "count": self._count,
        }

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Take up the sums of an interrupted pass."""
        self._loss.fill_(state["loss"])
        self._correct.fill_(state["correct"])
        self._count = int(state["count"])
