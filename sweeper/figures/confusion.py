"""The confusion matrix of one class an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from sweeper.figures.style import new_figure, short

_NUMBERED_CLASSES = 20  # beyond these the cells are too small for their counts
_NAMED_CLASSES = 50  # beyond these only some of the classes are named on the axes


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """True classes down, predicted ones across: counts, coloured by share of the true class.

    matrix: (C, C) counts, `matrix[true, predicted]`; classes: C names.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.5 * len(classes), 4.5, 12))
    figure = new_figure(side + 1.5, side)
    axes = figure.subplots()
    # The square root brings out the few mistakes beside the many hits.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    _name_classes(axes, classes)
    if len(classes) <= _NUMBERED_CLASSES:
        _number_cells(axes, counts, shares, cell=0.8 * side / len(classes))
    accuracy = np.trace(counts) / max(int(counts.sum()), 1)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{counts.sum():,} images, {accuracy:.2%} right")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02, label="share of the true class")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    every = -(-len(classes) // _NAMED_CLASSES)
    places = list(range(0, len(classes), every))
    names = [short(classes[place]) for place in places]
    size = 9 if len(classes) <= _NUMBERED_CLASSES else 7
    upright = max(map(len, names)) * len(names) > 40  # side by side they would overlap
    axes.set_xticks(places, names, fontsize=size, rotation=90 if upright else 0)
    axes.set_yticks(places, names, fontsize=size)


def _number_cells(axes: Axes, counts: NDArray[Any], shares: NDArray[Any], cell: float) -> None:
    """Write the counts into cells that are `cell` inches wide."""
    digits = len(str(counts.max(initial=0)))
    size = min(12.0, 72 * cell / (0.65 * (digits + 1)))  # a digit is 0.65 as wide as it is high
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.3 else "black" if count else "#bbbbbb"
        axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=size)
