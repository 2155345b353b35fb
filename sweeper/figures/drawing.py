"""From a figure to pixels, and from pixels to a file.

`Figure.savefig` does both in turn; apart, a thread can compress a figure while the next is drawn.
"""

from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

_COMPRESSION = 1  # of zlib, from 0 to 9: 9 takes twice the time, for files smaller by a third


def drawn(figure: Figure) -> Image.Image:
    """Return the pixels of a figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels).convert("RGB")


def png(image: Image.Image) -> bytes:
    """Return an image as the content of a PNG file."""
    file = BytesIO()
    image.save(file, format="PNG", compress_level=_COMPRESSION)
    return file.getvalue()
