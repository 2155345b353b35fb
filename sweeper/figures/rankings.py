"""Figures of the ranking of images by class, for data with sets of classes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from sweeper.figures.style import (
    BLUE,
    ORANGE,
    TEXT,
    StyledFigure,
    joined,
    new_figure,
    short,
    styled,
)

_MAX_CLASS_NAMES = 50  # with more classes the bars are too thin for a name each


@styled()
def average_precisions(
    values: ArrayLike,
    counts: ArrayLike,
    n: int,
    classes: Sequence[str],
    title: str = "Average precision by class",
    about: str = "",
) -> StyledFigure:
    """Draw the average precision of each class, the best first, with the mean and with chance.

    Chance is the share of images with the class: the precision of a random ranking.

    values: (C,) fractions; NaN for a class without images.
    counts: (C,) integers, the number of images with each class.
    n: the number of images.
    classes: the C names.
    about: of which network and data.
    """
    precisions, positives = np.asarray(values, dtype=float), np.asarray(counts)
    order = np.argsort(-np.nan_to_num(precisions, nan=-1.0), kind="stable")
    precisions, positives = precisions[order], positives[order]
    height = float(np.clip(1.3 + 0.28 * len(order), 2.5, 14))
    figure = new_figure(10, height, title, joined(about, f"{n:,} images"))
    axes = figure.subplots()
    rows = np.arange(len(order))
    axes.barh(rows, np.nan_to_num(precisions), color=BLUE)
    axes.scatter(
        positives / n,
        rows,
        marker="|",
        s=60,
        color=ORANGE,
        zorder=3,
        linewidths=2.5,
        label="chance",
    )
    if positives.any():
        mean = float(precisions[positives > 0].mean())
        axes.axvline(mean, color=TEXT, linestyle="--", label=f"mean {mean:.2f}")
    names = [f"{short(classes[k])} ({count})" for k, count in zip(order, positives, strict=True)]
    _label_rows(axes, names, ["–" if np.isnan(value) else f"{value:.2f}" for value in precisions])
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 1), xlabel="average precision", ylabel="class (number of images)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _label_rows(axes: Axes, names: Sequence[str], values: Sequence[str]) -> None:
    """Write the names on the left and the values on the right, the first row at the top."""
    step = -(-len(names) // _MAX_CLASS_NAMES)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=10)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for row in range(0, len(names), step):
        axes.text(1.01, row, values[row], va="center", fontsize=10)
