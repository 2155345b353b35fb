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
    """Loss and measures by epoch, training and validation, the best epoch marked.

    history: one mapping an epoch with `train/loss`, `val/loss` and each of the `measures` of both
        splits (fractions), of which some may be missing; epochs count from 1, `best_epoch` too.
    """
    names = ("loss", *measures)
    figure = new_figure(5 * len(names), 4)
    panels: list[Axes] = list(figure.subplots(1, len(names)))
    for axes, name in zip(panels, names, strict=True):
        for split, color in (("train", _TRAIN), ("val", _VAL)):
            _curve(axes, history, f"{split}/{name}", split, color)
        axes.axvline(best_epoch, color=_BEST, linestyle=":", label=f"best epoch {best_epoch}")
        words = name.replace("_", " ")
        axes.set(title=words.capitalize(), xlabel="epoch", ylabel=words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    # One legend above both, where it hides no curve.
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
