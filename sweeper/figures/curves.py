"""Learning curves of a run."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.figures.style import new_figure

_TRAIN, _VAL, _BEST = "#4477aa", "#cc6633", "#888888"


def learning_curves(
    history: Sequence[Mapping[str, float]],
    best_epoch: int,
    measures: Sequence[str] = ("accuracy",),
) -> Figure:
    """Draw loss and measures of training and validation by epoch, and mark the best epoch.

    history: a mapping for each epoch, with `train/loss`, `val/loss` and the measures of both
        splits, such as `val/accuracy`. Some of them may be missing.
    best_epoch: the number of the best epoch; epochs count from 1.
    measures: the names of the measures, whose values are fractions.
    """
    names = ("loss", *measures)
    figure = new_figure(5 * len(names), 4)
    panels: list[Axes] = list(figure.subplots(1, len(names)))
    for axes, name in zip(panels, names, strict=True):
        for split, color in (("train", _TRAIN), ("val", _VAL)):
            _curve(axes, history, f"{split}/{name}", split, color)
        axes.axvline(best_epoch, color=_BEST, linestyle=":", label=f"best epoch {best_epoch}")
        label = name.replace("_", " ")
        axes.set(title=label.capitalize(), xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    # One legend above all panels, where it hides no curve.
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    for axes in panels[1:]:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure


def _curve(
    axes: Axes, history: Sequence[Mapping[str, float]], name: str, label: str, color: str
) -> None:
    points = [(epoch, row[name]) for epoch, row in enumerate(history, 1) if name in row]
    if points:
        epochs, values = zip(*points, strict=True)
        marker = "o" if len(points) <= 30 else ""
        axes.plot(epochs, values, color=color, marker=marker, markersize=3, label=label)
