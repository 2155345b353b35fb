"""The confusion matrix of data with one class per image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from sweeper.figures.style import new_figure, short

_MAX_CLASSES_WITH_COUNTS = 20  # with more classes the cells are too small for text
_MAX_CLASS_NAMES = 50  # with more classes only some of them are named on the axes


def confusion_matrix(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix with true classes as rows and predicted classes as columns.

    The colour of a cell is its share of the images of the true class.

    matrix: (C, C) integer counts, indexed `matrix[true, predicted]`.
    classes: the C names.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.5 * len(classes), 4.5, 12))
    figure = new_figure(side + 1.5, side)
    axes = figure.subplots()
    # The square root makes the few mistakes visible beside the many correct predictions.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    _name_classes(axes, classes)
    if len(classes) <= _MAX_CLASSES_WITH_COUNTS:
        _write_counts(axes, counts, shares, cell_inches=0.8 * side / len(classes))
    accuracy = np.trace(counts) / max(int(counts.sum()), 1)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{counts.sum():,} images, {accuracy:.2%} correct")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02, label="share of the true class")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    step = -(-len(classes) // _MAX_CLASS_NAMES)
    ticks = list(range(0, len(classes), step))
    names = [short(classes[tick]) for tick in ticks]
    size = 9 if len(classes) <= _MAX_CLASSES_WITH_COUNTS else 7
    vertical = max(map(len, names)) * len(names) > 40  # horizontal names would overlap
    axes.set_xticks(ticks, names, fontsize=size, rotation=90 if vertical else 0)
    axes.set_yticks(ticks, names, fontsize=size)


def _write_counts(
    axes: Axes, counts: NDArray[Any], shares: NDArray[Any], cell_inches: float
) -> None:
    """Write each count into its cell.

    counts: (C, C) integers; shares: (C, C) fractions of the true class.
    """
    digits = len(str(counts.max(initial=0)))
    # A digit is 0.65 times as wide as it is high.
    size = min(12.0, 72 * cell_inches / (0.65 * (digits + 1)))
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.3 else "black" if count else "#bbbbbb"
        axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=size)
