"""The empty canvas of all figures, and titles that fit.

Figures are created without pyplot: there is no global state, no display is needed, and any thread
may draw. matplotlib takes half a second to import, so import the modules of this folder inside the
functions that draw.
"""

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweeper.text import printable, shortened

matplotlib.rcParams["text.parse_math"] = False  # a class may be called cost$, an image a_$x$.png

TITLE_LENGTH = 22
"""The number of characters of a title above an image, or of a class name on an axis."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; `width` and `height` are in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def short(text: str, length: int = TITLE_LENGTH) -> str:
    """Return a title or a class name without control characters, cut to `length` characters."""
    return shortened(printable(text), length, "…")
