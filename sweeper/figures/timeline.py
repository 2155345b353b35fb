"""The figure of which worker ran which trial, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sweeper.figures.style import new_figure

COLOURS = {
    "complete": "#4477aa",
    "paused": "#bbccdd",
    "put back": "#dddddd",
    "pruned": "#ccbb44",
    "failed": "#ee6677",
}
GOES_ON = "goes on"
NARROWEST_LABELLED = 0.03
"""Width of the narrowest bar that has room for a number, as a fraction of the figure."""


@dataclass(frozen=True)
class Bar:
    """A time in which a worker ran a trial.

    Args:
        worker: Name of the worker.
        trial: Number of the trial.
        start: Its start, in seconds since 1970.
        end: Its end.
        state: What became of the trial at its end, a key of `COLOURS`.
        is_promoted: True if the trial ran before, and goes on.
    """

    worker: str
    trial: int
    start: float
    end: float
    state: str
    is_promoted: bool


def timeline(bars: Sequence[Bar]) -> Figure:
    """Return a figure with a row for each worker and a bar for each time that it ran a trial.

    Raises:
        ValueError: there is no bar.
    """
    if not bars:
        raise ValueError("no trial has run")
    workers = sorted({bar.worker for bar in bars})
    begin, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    length = max(end - begin, 1e-9)
    figure = new_figure(12, 1.6 + 0.5 * len(workers))
    axes = figure.subplots()
    for bar in bars:
        row, left, width = workers.index(bar.worker), bar.start - begin, bar.end - bar.start
        edge = ("black", 1.2) if bar.is_promoted else ("white", 0.5)
        axes.barh(row, width, 0.8, left, color=COLOURS[bar.state], edgecolor=edge[0], lw=edge[1])
        if width > NARROWEST_LABELLED * length:
            axes.text(left + width / 2, row, str(bar.trial), ha="center", va="center", fontsize=8)
    axes.set_yticks(range(len(workers)), workers)
    axes.set_xlim(0, length)
    axes.set_xlabel("seconds since the first trial started")
    axes.set_title("Trials by worker")
    shown = [Patch(color=COLOURS[state], label=state) for state in _states(bars)]
    if any(bar.is_promoted for bar in bars):
        shown.append(Patch(facecolor="white", edgecolor="black", label=GOES_ON))
    axes.legend(handles=shown, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _states(bars: Sequence[Bar]) -> list[str]:
    present = {bar.state for bar in bars}
    return [state for state in COLOURS if state in present]
