"""The progress of a run, as the loop keeps it and callbacks read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper import trial
from sweeper.metrics.meter import Meter
from sweeper.objectives import Direction


@dataclass
class RunState:
    """The progress of a run. Callbacks read it, and end the run with `stop`.

    `history` has the metrics of each epoch: `train/loss` and `val/loss`, the measures of the label
    type, such as `train/accuracy` and `val/accuracy`, and `lr`, `epoch_seconds` and
    `images_per_second`.
    """

    epochs: int
    steps_per_epoch: int
    metric: str
    direction: Direction
    epoch: int = 0
    """The number of finished epochs."""
    batch: int = 0
    """The number of finished batches of the current epoch."""
    meter: Meter | None = None
    """Training loss and measures of the current epoch."""
    lr: float = 0.0
    """The learning rate of the last batch."""
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    stop_reason: str | None = None
    interrupted: bool = False

    def stop(self, reason: str) -> None:
        """Make the loop end after the current epoch; the first reason is kept."""
        self.stop_reason = self.stop_reason or reason

    def interrupt(self) -> None:
        """Make the loop end after the current batch, in the middle of the epoch."""
        self.interrupted = True

    @property
    def over(self) -> bool:
        """True if no further batch will be trained on, between two epochs or at the start.

        A run that is resumed within the epoch after which it ends finishes that epoch first.
        """
        is_stopped = self.stop_reason is not None and self.batch == 0
        return self.interrupted or is_stopped or self.epoch >= self.epochs

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
        """True if the last epoch is the best so far."""
        return self.epoch > 0 and self.best_epoch == self.epoch

    def record(self, metrics: dict[str, float]) -> None:
        """Add the metrics of a finished epoch to the history."""
        self.epoch += 1
        self.batch = 0
        self.meter = None
        self.history.append(metrics)
        if self.best_epoch is None or self._beats(self.value, self.best_value):
            self.best_epoch = self.epoch

    def _beats(self, value: float, other: float) -> bool:
        return value > other if self.direction == "maximize" else value < other

    def state_dict(self) -> dict[str, Any]:
        """Return the values that a checkpoint holds; the rest follows from them."""
        by_study = self.stop_reason == trial.stop_reason()  # which may take the trial up again
        return {
            "batch": self.batch,
            "meter": self.meter.state_dict() if self.meter else None,
            "history": [dict(metrics) for metrics in self.history],
            "stop_reason": None if by_study else self.stop_reason,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the history of a checkpoint and find the best epoch in it again.

        The meter needs an adapter, so `CheckpointStore.resume` loads it. The reason why the run
        ended holds for the same config only, so `start` loads it.
        """
        for metrics in state["history"]:
            self.record(dict(metrics))
        self.batch = state["batch"]
