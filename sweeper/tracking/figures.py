"""Figures of a run, as matplotlib Figures; save one with `figure.savefig(path)`.

Figure objects and no pyplot: nothing global, no display, safe in any thread. matplotlib takes half
a second to import, so import this module where a figure is drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray
from PIL.Image import Image

matplotlib.rcParams["text.parse_math"] = False  # a class may be called cost$, an image a_$x$.png

_TRAIN, _VAL, _BEST = "#4477aa", "#cc6633", "#888888"
_NUMBERED_CLASSES = 20  # beyond these the cells are too small for their counts
_NAMED_CLASSES = 50  # beyond these only some of the classes are named on the axes
_TITLE_LENGTH = 22


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


def image_grid(
    images: Sequence[Image], titles: Sequence[str], columns: int = 8, heading: str = ""
) -> Figure:
    """Images in rows of `columns`, each under its title; small ones show their own pixels.

    Images that are more than twice as wide as high have fewer and wider columns.
    """
    aspect = max((image.width / image.height for image in images), default=1.0)
    stretch = max(1.0, aspect / 2)
    columns = max(1, min(round(columns / stretch), len(images)))
    rows = max(1, -(-len(images) // columns))
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    longest = max(map(_longest_line, titles), default=0)
    width = stretch * (1.6 if longest > 12 * stretch else 1.3)
    height = min(1.3, width / aspect + 0.2) + 0.17 * lines
    figure = new_figure(max(width * columns, 4), rows * height + (0.4 if heading else 0))
    cells: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for axes, image, title in zip(cells.flat, images, titles, strict=False):
        axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        shown = [short(line, int(_TITLE_LENGTH * stretch)) for line in title.split("\n")]
        axes.set_title("\n".join(shown), fontsize=8, pad=3)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _curve(
    axes: Axes, history: Sequence[Mapping[str, float]], name: str, label: str, color: str
) -> None:
    points = [(epoch, row[name]) for epoch, row in enumerate(history, 1) if name in row]
    if points:
        epochs, values = zip(*points, strict=True)
        marker = "o" if len(points) <= 30 else ""
        axes.plot(epochs, values, color=color, marker=marker, markersize=3, label=label)


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


def _longest_line(title: str) -> int:
    return max(map(len, title.split("\n")))


def short(text: str, length: int = _TITLE_LENGTH) -> str:
    """Return a title or the name of a class, cut to what there is room for."""
    return text if len(text) <= length else text[: length - 1] + "…"
