"""Saving of figures without their margins, with one drawing of each."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image, ImageChops

_MARGIN = 2.0  # inches around a figure that its labels may reach
_PADDING = 0.1  # inches


def save_cropped(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Save a figure as `bbox_inches="tight"` of matplotlib does, in less than half of its time.

    matplotlib draws a figure twice, and measures each label, to find the margins. Here it is drawn
    once, with what lies outside, and the blank margins of the image are cut off.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    width, height = figure.get_size_inches()
    area = Bbox([[-_MARGIN, -_MARGIN], [width + _MARGIN, height + _MARGIN]])
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, bbox_inches=area, pil_kwargs={"compress_level": 0})
    image = Image.open(drawn).convert("RGB")
    blank = Image.new("RGB", image.size, image.getpixel((0, 0)))
    padding = round(_PADDING * dpi)
    left, top, right, bottom = ImageChops.difference(image, blank).getbbox() or (0, 0, *image.size)
    image.crop((left - padding, top - padding, right + padding, bottom + padding)).save(path)
