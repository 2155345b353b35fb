"""The progress of a run: a table with a line for each epoch, and a line that is drawn anew."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sweeper.text import duration, shortened
from sweeper.training.callback import Callback
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

WIDTH = 79
"""Columns of the table at most; a terminal has 80."""

REFRESH_SECONDS = 0.25
REFRESH_SHARE = 0.05
"""The largest share of the time spent on computing measures for the line; some are slow."""

SHORT_NAMES = {
    "mean_average_precision": "mAP",
    "sequence_accuracy": "accuracy",
    "character_error_rate": "CER",
    "f1": "F1",
}


@dataclass(frozen=True)
class Column:
    """A column of the table: its head, and the text of an epoch."""

    head: str
    text: Callable[[Mapping[str, float]], str]
    least_width: int = 6

    @property
    def width(self) -> int:
        return max(self.least_width, len(self.head))


class EpochTable:
    """The table of the epochs, as lines that fit `WIDTH` as far as the measures allow it.

    Args:
        epochs: Number of epochs of the run.
        metrics: Metrics of an epoch, from which the measures are known.
    """

    def __init__(self, epochs: int, metrics: Mapping[str, float]) -> None:
        self._epochs = epochs
        self._epoch_width = max(5, 2 * len(str(epochs)) + 1)
        measures = [name for name in metrics if name.startswith(("train/", "val/"))]
        self._columns = [Column(_head(name), _number_of(name)) for name in measures]
        optional = [
            Column("lr", lambda m: f"{m['lr']:.1e}", 7),
            Column("images/s", lambda m: f"{m['images_per_second']:,.0f}"),
        ]
        for column in optional:
            if len(self.head) + 2 + column.width <= WIDTH - len(" *"):
                self._columns.append(column)

    @property
    def head(self) -> str:
        """The heads of the columns."""
        return self._line("epoch", [c.head for c in self._columns], "left")

    def row(self, state: RunState, seconds_left: float) -> str:
        """Return the line of the last epoch; a star marks the best epoch so far."""
        cells = [column.text(state.history[-1]) for column in self._columns]
        line = self._line(f"{state.epoch}/{self._epochs}", cells, duration(seconds_left))
        return line + (" *" if state.improved else "")

    def _line(self, epoch: str, cells: Sequence[str], left: str) -> str:
        padded = [cell.rjust(c.width) for cell, c in zip(cells, self._columns, strict=True)]
        return "  ".join([epoch.rjust(self._epoch_width), *padded, left.rjust(6)])


def _head(metric: str) -> str:
    split, _, measure = metric.partition("/")
    name = SHORT_NAMES.get(measure, measure.replace("_", " "))
    return f"{split} {name}" if measure == "loss" else name


def _number_of(metric: str) -> Callable[[Mapping[str, float]], str]:
    def number(metrics: Mapping[str, float]) -> str:
        value = metrics[metric]
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"

    return number


class EpochLines(Callback):
    """Callback that logs the table, a line for each epoch."""

    def __init__(self) -> None:
        self._table: EpochTable | None = None
        self._fit_started, self._epochs_before = 0.0, 0

    def on_fit_start(self, state: RunState) -> None:
        self._fit_started, self._epochs_before = time.monotonic(), state.epoch

    def on_epoch_end(self, state: RunState) -> None:
        if self._table is None:
            self._table = EpochTable(state.epochs, state.history[-1])
            log.info("%s", self._table.head)
        n_here = state.epoch - self._epochs_before
        seconds = time.monotonic() - self._fit_started
        log.info("%s", self._table.row(state, seconds / n_here * (state.epochs - state.epoch)))


class LiveProgress(EpochLines):
    """Callback that also shows how far the run is, through a function that shows a line."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show
        self._due = self._started = 0.0
        self._images = 0

    def on_fit_start(self, state: RunState) -> None:
        super().on_fit_start(state)
        if not state.over:
            self._show(f"epoch {state.epoch + 1}/{state.epochs}: the first batch")

    def on_epoch_start(self, state: RunState) -> None:
        self._started, self._images = time.monotonic(), state.meter.count if state.meter else 0

    def on_batch_end(self, state: RunState) -> None:
        now = time.monotonic()
        if state.batch == state.steps_per_epoch:
            self._show(f"{progress_text(state, self._left(state, now))}  validation")
        elif now >= self._due and state.meter is not None:
            measures = state.meter.compute()
            rate = (state.meter.count - self._images) / max(now - self._started, 1e-9)
            self._show(
                f"{progress_text(state, self._left(state, now))}  {measures_text(measures)}  "
                f"{rate:,.0f} images/s"
            )
            after = time.monotonic()
            self._due = after + max(REFRESH_SECONDS, (after - now) / REFRESH_SHARE)

    def _left(self, state: RunState, now: float) -> float:
        """Return the seconds that the rest of the run takes at the pace so far."""
        epochs = state.epoch + state.batch / state.steps_per_epoch
        done = max(epochs - self._epochs_before, 1e-9)
        return (now - self._fit_started) / done * (state.epochs - epochs)


def progress_text(state: RunState, seconds_left: float) -> str:
    """Return the epoch, a bar of the whole run, and the time left."""
    done = (state.epoch + state.batch / state.steps_per_epoch) / state.epochs
    filled = round(12 * min(1.0, done))
    number = min(state.epoch + 1, state.epochs)
    bar = "#" * filled + "-" * (12 - filled)
    return f"epoch {number}/{state.epochs} {bar} {duration(seconds_left)} left"


def measures_text(measures: Mapping[str, float]) -> str:
    """Return measures in one line: `loss 0.4857  accuracy 0.9043`."""
    pairs = (f"{_head(f'/{name}').strip()} {value:.4f}" for name, value in measures.items())
    return shortened("  ".join(pairs), 40)


def progress_lines(show: Callable[[str], None] | None) -> EpochLines:
    """Return the lines of the epochs; `show` shows a line on a terminal, if there is one."""
    return EpochLines() if show is None else LiveProgress(show)
