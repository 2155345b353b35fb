"""The progress display of a run: a log line for each epoch, and a bar on a terminal."""

import logging
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sweeper.training.callback import Callback
from sweeper.training.state import RunState

log = logging.getLogger(__name__)

REFRESH_SECONDS = 0.25
REFRESH_SHARE = 0.05
"""The largest share of the time spent on computing measures for the bar; some are slow."""


def epoch_line(state: RunState) -> str:
    """Return the metrics of the last epoch as one line; a star marks the best epoch so far."""
    last, width = state.history[-1], len(str(state.epochs))
    return (
        f"epoch {state.epoch:{width}}/{state.epochs}  "
        f"{_split_line(last, 'train')}  {_split_line(last, 'val')}  "
        f"lr {last['lr']:.2e}  {last['images_per_second']:,.0f} images/s  "
        f"{last['epoch_seconds']:.2f} s" + ("  *" if state.improved else "")
    )


def _split_line(metrics: Mapping[str, float], split: str) -> str:
    prefix = f"{split}/"
    measures = {n.removeprefix(prefix): v for n, v in metrics.items() if n.startswith(prefix)}
    return f"{split} {_measures_text(measures)}"


def _measures_text(measures: Mapping[str, float]) -> str:
    return " ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in measures.items())


class EpochLines(Callback):
    """Callback that logs one line for each epoch."""

    def on_epoch_end(self, state: RunState) -> None:
        log.info(epoch_line(state))

    def close(self) -> None:
        """Restore the terminal; called however the run ends."""


class LiveProgress(EpochLines):
    """Callback that logs the lines and shows a progress bar of the whole run below them."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[measured]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=None, epoch="", measured="")
        self._due = self._started = 0.0
        self._images = 0

    def on_fit_start(self, state: RunState) -> None:
        self._progress.start()

    def on_epoch_start(self, state: RunState) -> None:
        self._started, self._images = time.monotonic(), state.meter.count if state.meter else 0

    def on_batch_end(self, state: RunState) -> None:
        now = time.monotonic()
        if now < self._due or state.meter is None:
            return
        running = state.meter.compute()
        rate = (state.meter.count - self._images) / max(now - self._started, 1e-9)
        self._progress.update(
            self._task,
            total=state.epochs * state.steps_per_epoch,
            completed=state.epoch * state.steps_per_epoch + state.batch,
            epoch=f"{state.epoch + 1}/{state.epochs}",
            measured=f"{_measures_text(running)}  lr {state.lr:.2e}  {rate:,.0f} images/s",
            refresh=True,
        )
        after = time.monotonic()
        self._due = after + max(REFRESH_SECONDS, (after - now) / REFRESH_SHARE)

    def on_fit_end(self, state: RunState) -> None:
        self.close()

    def close(self) -> None:
        self._progress.stop()


def progress_display() -> EpochLines:
    """Return a progress bar if the output goes to a terminal, else plain lines."""
    console = Console()
    return LiveProgress(console) if console.is_terminal else EpochLines()
