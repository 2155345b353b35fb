"""A grid of images under their titles."""

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.style import MARGIN, WIDTH, StyledFigure, new_figure, panel, styled

TITLE_SIZE = 10.5  # points
_COLUMNS = 8
_GAP, _LINE = 0.12, 0.19  # inches: between cells, and of a line of a title
_LARGEST, _WIDEST = 2.2, 2.0  # inches: of an image, and of a cell that grows with its title


@styled()
def image_grid(
    images: Sequence[Image],
    titles: Sequence[str],
    heading: str = "",
    about: str = "",
) -> StyledFigure:
    """Draw images in rows of eight, each under its title, without smoothing enlarged pixels.

    Images that are more than twice as wide as high get fewer and wider columns.

    heading: what the images are.
    about: of which network and data.
    """
    aspect = max((image.width / image.height for image in images), default=1.0)
    stretch = max(1.0, aspect / 2)
    columns = max(1, min(round(_COLUMNS / stretch), len(images)))
    rows = max(1, -(-len(images) // columns))
    n_lines = max((title.count("\n") + 1 for title in titles), default=1)
    room = WIDTH - 2 * MARGIN
    # Few images are larger; a long title widens the cells.
    width = max(min(room / columns, _LARGEST * stretch), room * stretch / _COLUMNS)
    longest = max(
        (text_width(line, TITLE_SIZE) for t in titles for line in t.split("\n")), default=0
    )
    width = max(width, min(longest + 2 * _GAP, _WIDEST * stretch))
    inner = width - _GAP
    highest = max((inner * image.height / image.width for image in images), default=inner)
    height = min(highest, inner) + n_lines * _LINE + 0.16
    figure = new_figure(
        width * columns + 2 * MARGIN, height * rows + MARGIN / 2, heading, about, layout=None
    )
    whole_width, whole_height = figure.get_size_inches()
    # One panel for all of them: matplotlib takes longer for the panels than for the images.
    axes = panel(figure, 0, 0, whole_width, whole_height)
    axes.set_axis_off()
    for i, (image, title) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(i, columns)
        middle = MARGIN + width * (column + 0.5) - _GAP / 2
        top = figure.header + height * row + n_lines * _LINE + 0.04
        scale = min(inner / image.width, inner / image.height)
        half, tall = image.width * scale / 2, image.height * scale
        is_enlarged = scale * figure.dpi >= 1
        axes.imshow(
            np.asarray(image), cmap="gray", vmin=0, vmax=255, aspect="auto",
            extent=(middle - half, middle + half, top + tall, top),
            interpolation="nearest" if is_enlarged else "auto",
        )  # fmt: skip
        lines = [fitted(line, width - _GAP / 2, TITLE_SIZE) for line in title.split("\n")]
        axes.text(
            middle, top - 0.04, "\n".join(lines), ha="center", va="bottom", fontsize=TITLE_SIZE
        )
    axes.set(xlim=(0, whole_width), ylim=(whole_height, 0))
    return figure
