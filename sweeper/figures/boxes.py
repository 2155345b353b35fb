"""Images with the boxes of their objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL.Image import Image

from sweeper.figures.style import SMALL, TEXT, StyledFigure, new_figure, short, styled

COLUMNS, CELL = 4, 3.2
"""The number of images in a row, and the width of each in inches."""

HALO = withStroke(linewidth=3.6, foreground="white")
LABEL_PART = 0.1
"""The part of an image's height that a name takes, about."""

Corners = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""

NamedBox = tuple[str, Corners]
"""The name of an object and its box."""


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
            _draw(axes, image.size, name, box, f"C{names.index(name) % 10}")
    return figure


def _draw(axes: Any, size: tuple[int, int], name: str, box: Corners, colour: str) -> None:
    """Draw a box and its name; `size` is the width and the height of the image."""
    left, top, right, bottom = box
    corner = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=1.8)
    corner.set_path_effects([HALO])  # a line of one colour is lost on a background of that colour
    axes.add_patch(corner)
    # The name stays inside the image: below the upper side of a box that lies at the top of the
    # image, and at the right side of a box that lies in the right half.
    at_right, at_top = left > size[0] / 2, top < LABEL_PART * size[1]
    axes.text(
        min(right, size[0]) if at_right else max(left, 0),
        max(top, 0),
        short(name),
        ha="right" if at_right else "left",
        va="top" if at_top else "bottom",
        fontsize=9,
        color=TEXT if _is_light(colour) else "white",
        bbox={"facecolor": colour, "edgecolor": "white", "linewidth": 0.6, "pad": 1},
    )


def _is_light(colour: str) -> bool:
    red, green, blue = to_rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue > 0.55
