"""What all figures share: an empty canvas of matplotlib, and names cut to the room there is.

Figures are objects without pyplot: nothing is global, no display is needed, any thread may draw.
matplotlib takes half a second to import, so import a module of this room where it draws.
"""

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

matplotlib.rcParams["text.parse_math"] = False  # a class may be called cost$, an image a_$x$.png

TITLE_LENGTH = 22
"""Characters of a title above an image, or of a class's name on an axis."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def short(text: str, length: int = TITLE_LENGTH) -> str:
    """Return a title or the name of a class, cut to what there is room for."""
    return text if len(text) <= length else text[: length - 1] + "…"
