"""The text that a run prints when it ends."""

import time
from collections.abc import Mapping
from pathlib import Path

from sweeper.text import named_rows
from sweeper.training.state import RunState


def results_table(
    state: RunState, scores: Mapping[str, float], started: float, folder: Path
) -> str:
    """Return the table of results that a finished run prints.

    `scores` are the metrics of the best network, `started` is the value of `time.perf_counter` at
    the start, and `folder` is the run's folder.
    """
    assert state.best_epoch is not None
    best = state.history[state.best_epoch - 1]
    rows = [("best epoch", f"{state.best_epoch} of {state.epoch}")]
    if state.stop_reason:
        rows.append(("stopped", state.stop_reason))
    metrics = [*_metrics_of("val", best), *_metrics_of("test", scores)]
    rows += [(name.replace("/", " "), f"{value:.4f}") for name, value in metrics]
    rows.append(("seconds", f"{time.perf_counter() - started:.1f}"))
    rows.append(("artifacts", str(folder)))
    width = max(13, *(len(name) for name, _ in rows)) + 1
    return "\n" + named_rows(rows, width)


def interrupted_line(epoch: int, resume_command: str, saved: tuple[int, int] | None) -> str:
    """Return the line that an interrupted run prints, with the command that resumes it.

    `epoch` is the number of finished epochs. `saved` are the epochs, and the batches of the next
    one, that the last checkpoint of this run has; None if there is no such checkpoint.
    """
    if saved is None or saved == (0, 0):
        return "interrupted before anything was saved"
    older = "" if saved[0] == epoch else f", and saved after epoch {saved[0]}"
    return f"interrupted after epoch {epoch}{older}; to resume:\n  {resume_command}"


def _metrics_of(split: str, values: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(name, value) for name, value in values.items() if name.startswith(f"{split}/")]
