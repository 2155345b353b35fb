"""The confusion matrix of data with one class per image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike, NDArray

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.style import (
    MARGIN,
    SMALL,
    SOFT,
    StyledFigure,
    joined,
    new_figure,
    panel,
    short,
    styled,
)

_MAX_CLASSES_WITH_COUNTS = 20  # with more classes the cells are too small for text
_MISTAKES = 12  # the number of lines in the list beside the matrix
_LIST, _LINE, _BAR = 3.0, 0.27, 0.9  # inches: width of the list, height of a line, room of the bar


@styled()
def confusion_matrix(
    matrix: ArrayLike, classes: Sequence[str], title: str = "Confusion matrix", about: str = ""
) -> StyledFigure:
    """Draw a confusion matrix with true classes as rows and predicted classes as columns.

    The colour of a cell is its share of the images of the true class. A list beside it has the most
    frequent mistakes.

    matrix: (C, C) integer counts, indexed `matrix[true, predicted]`.
    classes: the C names.
    about: of which network and data.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(classes)
    side = float(np.clip(0.45 * n, 5.4, 9.0))
    size = SMALL if n <= _MAX_CLASSES_WITH_COUNTS else 9.0
    step = max(1, -(-int(n * (size + 3) / 72 * 1000) // int(side * 1000)))
    names = [short(name) for name in classes[::step]]
    longest = max((text_width(name, size) for name in names), default=0.0)
    vertical = longest > 0.9 * side * step / n
    left = longest + 0.5
    below = 0.57 + (longest if vertical else 0.2)
    accuracy = np.trace(counts) / max(int(counts.sum()), 1)
    about = joined(about, f"{counts.sum():,} images, {accuracy:.2%} correct")
    width = MARGIN + left + side + _BAR + _LIST + MARGIN
    figure = new_figure(width, side + below + 0.2, title, about, layout=None)
    axes = panel(figure, MARGIN + left, below, side, side)
    # The square root makes the few mistakes visible beside the many correct predictions.
    image = axes.imshow(
        shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="auto"
    )
    axes.spines[:].set_visible(True)
    axes.grid(visible=False)
    places = range(0, n, step)
    axes.set_xticks(places, names, fontsize=size, rotation=90 if vertical else 0)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0 if step == 1 else 3)
    if n <= _MAX_CLASSES_WITH_COUNTS:
        _write_counts(axes, counts, shares, cell_inches=side / n)
    axes.set(xlabel="predicted class", ylabel="true class")
    right = MARGIN + left + side
    _draw_bar(figure, image, right + 0.15, below, side)
    _list_mistakes(figure, counts, shares, classes, right + _BAR + 0.1, below + side)
    return figure


def _draw_bar(
    figure: StyledFigure, image: AxesImage, left: float, bottom: float, height: float
) -> None:
    """Draw the scale of the colours beside the matrix; the places are in inches."""
    axes = panel(figure, left, bottom, 0.16, height)
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.05, 0.2, 0.4, 0.6, 0.8, 1])
    bar.ax.set_yticklabels(["0%", "5%", "20%", "40%", "60%", "80%", "100%"], fontsize=10)
    bar.set_label("share of the true class", fontsize=10, labelpad=1)
    bar.outline.set_visible(False)


def _write_counts(
    axes: Axes, counts: NDArray[Any], shares: NDArray[Any], cell_inches: float
) -> None:
    """Write each count into its cell, other than zero.

    counts: (C, C) integers; shares: (C, C) fractions of the true class.
    """
    digits = len(str(counts.max(initial=0)))
    # A digit is 0.65 times as wide as it is high.
    size = min(13.0, 72 * cell_inches / (0.65 * (digits + 1)))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.3 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=size)


def _list_mistakes(
    figure: StyledFigure,
    counts: NDArray[Any],
    shares: NDArray[Any],
    classes: Sequence[str],
    left: float,
    top: float,
) -> None:
    """Write the most frequent mistakes below each other; the place is in inches."""
    width, height = figure.get_size_inches()
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MISTAKES]
    pairs = [divmod(int(i), len(classes)) for i in order if wrong.flat[i]]
    head = "Most frequent mistakes" if pairs else "No mistake"
    figure.text(left / width, top / height, head, va="top", weight="bold", fontsize=SMALL)
    for line, (true, predicted) in enumerate(pairs, start=1):
        y = (top - 0.08 - _LINE * line) / height
        count = f"{wrong[true, predicted]:,} ({shares[true, predicted]:.0%})"
        room = (_LIST - text_width(count, SMALL) - 0.45) / 2
        names = [fitted(classes[k], room, SMALL) for k in (true, predicted)]
        figure.text(left / width, y, " → ".join(names), va="top", fontsize=SMALL)
        figure.text(
            (left + _LIST - 0.1) / width, y, count, va="top", ha="right", fontsize=SMALL, color=SOFT
        )
