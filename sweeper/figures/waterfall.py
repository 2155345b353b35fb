"""A waterfall: what each of several changes added to a value."""

from collections.abc import Sequence

from sweeper.figures.lettering import fitted
from sweeper.figures.style import BLUE, GREEN, RED, SMALL, StyledFigure, new_figure, styled


@styled()
def waterfall(
    start: float,
    changes: Sequence[tuple[str, float, float]],
    first: str,
    metric: str,
    about: str = "",
) -> StyledFigure:
    """Draw the path from `start` to the last value, a bar for each change.

    changes: name, value after the change, and gain; a negative gain is drawn as a loss.
    first: the name of the first point.
    metric: the name of the values.
    about: of which study.
    """
    names = [first, *(name for name, _, _ in changes), "winner"]
    values = [start, *(value for _, value, _ in changes)]
    title = "What each change brought, on the way to the winner"
    figure = new_figure(10, 1.0 + 0.4 * len(names), title, about)
    axes = figure.subplots()
    axes.barh([0, len(names) - 1], [values[0], values[-1]], color=BLUE)
    for row, (_, value, gain) in enumerate(changes, start=1):
        before = values[row - 1]
        axes.barh(row, value - before, left=before, color=GREEN if gain > 0 else RED)
        axes.text(max(value, before), row, f" {gain:+.4f}", va="center", fontsize=SMALL)
    low, high = min(values), max(values)
    margin = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_xlim(low - margin, high + margin)
    axes.set_yticks(range(len(names)), [fitted(name, 4.0, SMALL) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(metric)
    return figure
