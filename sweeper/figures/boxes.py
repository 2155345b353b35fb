"""Images with the boxes of their objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL.Image import Image

from sweeper.figures.style import SMALL, StyledFigure, new_figure, short, styled

COLUMNS, CELL = 4, 3.2
"""The number of images in a row, and the width of each in inches."""

NamedBox = tuple[str, tuple[float, float, float, float]]
"""The name of an object, and left, top, right and bottom of its box in pixels."""


@styled()
def boxed_images(
    images: Sequence[Image],
    boxes: Sequence[Sequence[NamedBox]],
    titles: Sequence[str],
    about: str = "",
) -> StyledFigure:
    """Draw images in rows, each under its title, with the named boxes of its objects.

    The same name has the same colour in all images.

    about: of which data.
    """
    columns = max(1, min(COLUMNS, len(images)))
    rows = max(1, -(-len(images) // columns))
    aspect = min((image.width / image.height for image in images), default=1.0)
    figure = new_figure(
        CELL * columns,
        rows * (CELL / max(aspect, 0.5) + 0.4),
        "Images with the boxes of their objects",
        about,
    )
    cells: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    names = sorted({name for each in boxes for name, _ in each})
    for axes in cells.flat:
        axes.set_axis_off()
    for axes, image, named, title in zip(cells.flat, images, boxes, titles, strict=False):
        axes.imshow(np.asarray(image))
        axes.set_title(short(title, 40), fontsize=SMALL, pad=3)
        for name, box in named:
            _draw(axes, name, box, f"C{names.index(name) % 10}")
    return figure


def _draw(axes: Any, name: str, box: tuple[float, float, float, float], colour: str) -> None:
    left, top, right, bottom = box
    corner = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=1.8)
    axes.add_patch(corner)
    label = {"facecolor": colour, "edgecolor": "none", "pad": 1}
    style = {"fontsize": 9, "color": "white", "va": "bottom", "clip_on": True}
    axes.text(left, top, short(name), bbox=label, **style)
