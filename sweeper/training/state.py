"""What a run knows of itself, and what callbacks may see of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper.metrics.meter import Meter
from sweeper.objectives import Direction


@dataclass
class RunState:
    """Where a run stands. Callbacks read it, and end the run with `stop`.

    The record of an epoch holds `train/loss` and `val/loss`, what is measured of predictions,
    such as `train/accuracy` and `val/accuracy`, `lr`, `epoch_seconds` and `images_per_second`.
    """

    epochs: int
    steps_per_epoch: int
    metric: str
    direction: Direction
    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done of the epoch under way."""
    meter: Meter | None = None
    """Loss and hits of the epoch under way."""
    lr: float = 0.0
    """The learning rate of the last batch."""
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    stop_reason: str | None = None
    interrupted: bool = False

    def stop(self, reason: str) -> None:
        """Ask the loop to end after this epoch."""
        self.stop_reason = self.stop_reason or reason

    def interrupt(self) -> None:
        """Ask the loop to end after this batch, in the middle of the epoch."""
        self.interrupted = True

    @property
    def over(self) -> bool:
        """Whether no further epoch is to be started."""
        return self.interrupted or self.stop_reason is not None or self.epoch >= self.epochs

    @property
    def value(self) -> float:
        """The monitored metric of the last epoch."""
        return self.history[-1][self.metric]

    @property
    def best_value(self) -> float:
        """The monitored metric of the best epoch."""
        if self.best_epoch is None:
            raise ValueError("no epoch has finished yet")
        return self.history[self.best_epoch - 1][self.metric]

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best so far."""
        return self.epoch > 0 and self.best_epoch == self.epoch

    def record(self, metrics: dict[str, float]) -> None:
        """Add a finished epoch."""
        self.epoch += 1
        self.batch = 0
        self.meter = None
        self.history.append(metrics)
        if self.best_epoch is None or self._beats(self.value, self.best_value):
            self.best_epoch = self.epoch

    def _beats(self, value: float, other: float) -> bool:
        return value > other if self.direction == "maximize" else value < other

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "batch": self.batch,
            "meter": self.meter.state_dict() if self.meter else None,
            "history": [dict(metrics) for metrics in self.history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the history of a checkpoint; which epoch was best is read off it anew."""
        for metrics in state["history"]:
            self.record(dict(metrics))
        self.batch = state["batch"]
