"""A grid of images under their titles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL.Image import Image

from sweeper.figures.style import TITLE_LENGTH, new_figure, short


def image_grid(
    images: Sequence[Image], titles: Sequence[str], columns: int = 8, heading: str = ""
) -> Figure:
    """Draw images in rows of `columns`, each under its title, without smoothing their pixels.

    Images that are more than twice as wide as high get fewer and wider columns.
    """
    aspect = max((image.width / image.height for image in images), default=1.0)
    stretch = max(1.0, aspect / 2)
    columns = max(1, min(round(columns / stretch), len(images)))
    rows = max(1, -(-len(images) // columns))
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    longest = max(map(_longest_line, titles), default=0)
    width = stretch * (1.6 if longest > 12 * stretch else 1.3)  # of a cell, in inches
    height = min(1.3, width / aspect + 0.2) + 0.17 * lines
    figure = new_figure(max(width * columns, 4), rows * height + (0.4 if heading else 0))
    cells: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat:
        axes.set_axis_off()
    for axes, image, title in zip(cells.flat, images, titles, strict=False):
        axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        title_lines = [short(line, int(TITLE_LENGTH * stretch)) for line in title.split("\n")]
        axes.set_title("\n".join(title_lines), fontsize=8, pad=3)
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure


def _longest_line(title: str) -> int:
    """Return the number of characters in the longest line."""
    return max(map(len, title.split("\n")))
