"""A waterfall: what each of several changes added to a value."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from sweeper.figures.style import new_figure, short

_BETTER, _WORSE, _ENDS = "#669966", "#cc6633", "#88aacc"


def waterfall(
    start: float, changes: Sequence[tuple[str, float, float]], first: str, metric: str
) -> Figure:
    """Draw the path from `start` to the last value, a bar for each change.

    changes: name, value after the change, and gain; a negative gain is drawn as a loss.
    first: the name of the first point.
    metric: the name of the values.
    """
    names = [first, *(name for name, _, _ in changes), "winner"]
    values = [start, *(value for _, value, _ in changes)]
    figure = new_figure(7, 1.4 + 0.4 * len(names))
    axes = figure.subplots()
    axes.barh([0, len(names) - 1], [values[0], values[-1]], color=_ENDS)
    for row, (_, value, gain) in enumerate(changes, start=1):
        before = values[row - 1]
        axes.barh(row, value - before, left=before, color=_BETTER if gain > 0 else _WORSE)
        axes.text(max(value, before), row, f" {gain:+.4f}", va="center", fontsize=8)
    low, high = min(values), max(values)
    margin = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_xlim(low - margin, high + margin)
    axes.set_yticks(range(len(names)), [short(name, 40) for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(metric)
    return figure
