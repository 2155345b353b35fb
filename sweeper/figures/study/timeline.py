"""The figure of which worker ran which trial, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.patches import Patch

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.study.ticks import linear_ticks
from sweeper.figures.style import (
    BLUE,
    MARGIN,
    ORANGE,
    PALE,
    RED,
    SKY,
    SMALL,
    StyledFigure,
    new_figure,
    panel,
    styled,
)

COLOURS = {
    "complete": BLUE,
    "paused": SKY,
    "put back": PALE,
    "pruned": ORANGE,
    "failed": RED,
}
GOES_ON = "goes on"
UNITS = (("seconds", 1.0, 300.0), ("minutes", 60.0, 300 * 60.0), ("hours", 3600.0, float("inf")))
"""Units of time, their seconds, and up to how many seconds they are used."""
_MOST_HEIGHT, _ROW = 12.0, 0.5  # inches


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


@styled()
def timeline(bars: Sequence[Bar], about: str = "") -> StyledFigure:
    """Return a figure with a row for each worker and a bar for each time that it ran a trial.

    about: of which study.

    Raises:
        ValueError: there is no bar.
    """
    if not bars:
        raise ValueError("no trial has run")
    workers = sorted({bar.worker for bar in bars})
    begin, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    length = max(end - begin, 1e-9)
    row_height = min(_ROW, _MOST_HEIGHT / len(workers))
    height = 1.3 + row_height * len(workers)
    figure = new_figure(10, height, "Which worker ran which trial", about, layout=None)
    whole_width, _ = figure.get_size_inches()
    names = [fitted(worker, 2.2, SMALL) for worker in workers]
    left = MARGIN + max(text_width(name, SMALL) for name in names) + 0.1
    width = whole_width - left - 2 * MARGIN
    axes = panel(figure, left, 0.65, width, row_height * len(workers))
    rows = {worker: row for row, worker in enumerate(workers)}
    axes.barh(
        [rows[bar.worker] for bar in bars],
        [bar.end - bar.start for bar in bars],
        0.8,
        [bar.start - begin for bar in bars],
        color=[COLOURS[bar.state] for bar in bars],
        edgecolor=["black" if bar.is_promoted else "white" for bar in bars],
        linewidth=[1.2 if bar.is_promoted else 0.5 for bar in bars],
    )
    for bar in bars:
        inches = (bar.end - bar.start) / length * width
        if row_height > 0.25 and inches > text_width(str(bar.trial), SMALL) + 0.04:
            middle = (bar.start + bar.end) / 2 - begin
            colour = "white" if bar.state == "complete" else "black"
            axes.text(
                middle, rows[bar.worker], str(bar.trial), ha="center", va="center", color=colour,
                fontsize=SMALL,
            )  # fmt: skip
    step = max(1, int(0.2 / row_height))
    axes.set_yticks(range(0, len(workers), step), names[::step])
    axes.set_ylim(len(workers) - 0.5, -0.5)
    axes.set_xlim(0, length)
    axes.grid(visible=False, axis="y")
    unit, seconds = next((name, size) for name, size, most in UNITS if length <= most)
    ticks = linear_ticks(0, length / seconds, 9)
    axes.set_xticks([value * seconds for value, _ in ticks], [text for _, text in ticks])
    axes.set_xlabel(f"{unit} since the first trial started; the numbers are those of the trials")
    shown = [Patch(color=COLOURS[state], label=state) for state in _states(bars)]
    if any(bar.is_promoted for bar in bars):
        shown.append(Patch(facecolor="white", edgecolor="black", label=GOES_ON))
    axes.legend(handles=shown, loc="lower right", bbox_to_anchor=(1, 1), ncols=6, borderaxespad=0.2)
    return figure


def _states(bars: Sequence[Bar]) -> list[str]:
    present = {bar.state for bar in bars}
    return [state for state in COLOURS if state in present]
