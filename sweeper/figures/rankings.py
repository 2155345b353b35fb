"""Figures of how well images are ranked, where each has a set of classes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sweeper.figures.style import new_figure, short

_BAR, _CHANCE, _MEAN = "#88aacc", "#cc6633", "#333333"
_WRITTEN_CLASSES = 50  # beyond these the bars are too thin for a name each


def average_precisions(
    values: ArrayLike, counts: ArrayLike, n: int, classes: Sequence[str]
) -> Figure:
    """The average precision of each class, the best first, with the mean and with chance.

    values: (K,) fractions, nan for a class that none of the `n` images has; counts: (K,) images
        that have it, whose share is what a random ranking comes to.
    """
    precisions, having = np.asarray(values, dtype=float), np.asarray(counts)
    order = np.argsort(-np.nan_to_num(precisions, nan=-1.0), kind="stable")
    precisions, having = precisions[order], having[order]
    figure = new_figure(7, float(np.clip(1.3 + 0.28 * len(order), 2.5, 14)))
    axes = figure.subplots()
    rows = np.arange(len(order))
    axes.barh(rows, np.nan_to_num(precisions), color=_BAR)
    axes.scatter(having / n, rows, marker="|", s=60, color=_CHANCE, label="chance")
    if having.any():
        mean = float(precisions[having > 0].mean())
        axes.axvline(mean, color=_MEAN, linestyle="--", label=f"mean {mean:.2f}")
    names = [f"{short(classes[k])} ({count})" for k, count in zip(order, having, strict=True)]
    _label_rows(axes, names, ["–" if np.isnan(value) else f"{value:.2f}" for value in precisions])
    axes.set(xlim=(0, 1), xlabel="average precision", ylabel="class (images that have it)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _label_rows(axes: Axes, names: Sequence[str], values: Sequence[str]) -> None:
    """Write the names on the left and the values on the right, the first row on top."""
    every = -(-len(names) // _WRITTEN_CLASSES)
    axes.set_yticks(range(0, len(names), every), names[::every], fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for row in range(0, len(names), every):
        axes.text(1.01, row, values[row], va="center", fontsize=8)
