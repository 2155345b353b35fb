"""Learning curves of a run."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.figures.style import BLUE, GREY, ORANGE, StyledFigure, new_figure, styled

_SPLITS = {"train": ("training split", BLUE), "val": ("validation split", ORANGE)}


@styled()
def learning_curves(
    history: Sequence[Mapping[str, float]],
    best_epoch: int,
    measures: Sequence[str] = ("accuracy",),
    about: str = "",
) -> StyledFigure:
    """Draw loss and measures of training and validation by epoch, and mark the best epoch.

    history: a mapping for each epoch, with `train/loss`, `val/loss` and the measures of both
        splits, such as `val/accuracy`. Some of them may be missing.
    best_epoch: the number of the best epoch; epochs count from 1.
    measures: the names of the measures, whose values are fractions.
    about: of which network and data.
    """
    names = ("loss", *measures)
    figure = new_figure(5 * len(names), 4.6, "Learning curves", about)
    panels: list[Axes] = list(figure.subplots(1, len(names)))
    for axes, name in zip(panels, names, strict=True):
        for split, (label, color) in _SPLITS.items():
            _curve(axes, history, f"{split}/{name}", label, color)
        axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch ({best_epoch})")
        axes.set(title=name.replace("_", " ").capitalize(), xlabel="epoch")
        axes.set_xlim(0.8 if len(history) < 20 else 0, max(len(history), 1) + 0.2)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    # One legend above all panels, where it hides no curve.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
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
        axes.plot(epochs, values, color=color, marker=marker, label=label)
