"""The style of all figures, the empty figure under its title, and titles that fit.

The style is in `sweeper.mplstyle`. It holds while a figure is made and while it is drawn, and
changes no figure of the caller. matplotlib has one style for all threads, so only one thread at a
time makes or draws a figure.

Figures are created without pyplot: there is no global state, and no display is needed. matplotlib
takes half a second to import, so import the modules of this folder inside the functions that draw.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sweeper.figures.lettering import fitted, wrapped
from sweeper.text import printable, shortened

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY = "#56b4e9"
TEXT, SOFT, GREY, PALE = "#222222", "#666666", "#aaaaaa", "#dddddd"

TITLE_LENGTH = 22
"""The number of characters of a title above an image, or of a class name on an axis."""

WIDTH = 10.0
"""The least width of a figure in inches: 1,600 pixels."""

MARGIN = 0.2
"""Inches between the edge of a figure and its title."""

TITLE_SIZE, ABOUT_SIZE, SMALL = 16.0, 11.5, 11.0  # points
_TITLE_LINE, _ABOUT_LINE = 0.36, 0.22  # inches


_WIDE_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "WenQuanYi Zen Hei"),
    *("Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS"),
)
"""Fonts for scripts that matplotlib's own font does not have; those count that are installed."""

_in_style: ContextVar[bool] = ContextVar("in_style", default=False)
_one_thread = threading.Lock()


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style of all figures. It decorates each function that makes a figure."""
    if _in_style.get():  # matplotlib needs milliseconds to apply a style
        yield
        return
    token = _in_style.set(True)
    try:
        with _one_thread, matplotlib.rc_context(_style()), warnings.catch_warnings():
            # Where no font has a character, a box is drawn; a user can see that in the figure.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            yield
    finally:
        _in_style.reset(token)


@cache
def _style() -> Any:
    path = Path(__file__).with_name("sweeper.mplstyle")
    style: dict[Any, Any] = dict(matplotlib.rc_params_from_file(path, use_default_template=False))
    installed = set(fontManager.get_font_names())
    style["font.family"] += [name for name in _WIDE_FONTS if name in installed]
    return style


class StyledFigure(Figure):
    """A figure that is drawn in the style in which it was made."""

    header = 0.0
    """The height of its title in inches."""

    def draw(self, renderer: RendererBase) -> None:
        with styled():  # matplotlib makes ticks when it draws them first
            super().draw(renderer)

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        with styled():
            super().savefig(*args, **kwargs)


def new_figure(
    width: float,
    height: float,
    title: str = "",
    about: str = "",
    layout: Literal["constrained"] | None = "constrained",
) -> StyledFigure:
    """Return an empty figure; `width` and `height` of what is below the title are in inches.

    title: what the figure shows, in one line.
    about: of which data, in one or two lines.
    layout: that of matplotlib; None for a figure whose parts are placed by `panel`.
    """
    width = max(width, WIDTH)
    room = width - 2 * MARGIN
    lines = wrapped(about, room, ABOUT_SIZE)
    header = MARGIN / 2 + (_TITLE_LINE if title else 0.0) + _ABOUT_LINE * len(lines)
    header += MARGIN / 2 if title else 0.0
    with styled():
        figure = StyledFigure(figsize=(width, height + header), layout=layout)
    FigureCanvasAgg(figure)
    figure.header = header
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0.01, 0, 0.98, height / (height + header)))
    y = MARGIN / 2
    if title:
        shown = fitted(title, room, TITLE_SIZE, bold=True)
        _write(figure, y, shown, size=TITLE_SIZE, weight="bold", color=TEXT)
        y += _TITLE_LINE
    for line in lines:
        _write(figure, y, line, size=ABOUT_SIZE, color=SOFT)
        y += _ABOUT_LINE
    return figure


def panel(figure: StyledFigure, left: float, bottom: float, width: float, height: float) -> Any:
    """Return new axes of this place and size in inches, from the lower left of the figure."""
    whole_width, whole_height = figure.get_size_inches()
    with styled():
        return figure.add_axes(
            (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
        )


def _write(figure: Figure, from_top: float, text: str, **options: Any) -> None:
    """Write a line at the left edge; `from_top` is in inches."""
    width, height = figure.get_size_inches()
    with styled():
        figure.text(MARGIN / width, 1 - from_top / height, text, va="top", **options)


def joined(*parts: str) -> str:
    """Return the parts of the line under a title that are not empty, with dots between them."""
    return " · ".join(part for part in parts if part)


def short(text: str, length: int = TITLE_LENGTH) -> str:
    """Return a title or a class name without control characters, cut to `length` characters."""
    return shortened(printable(text), length, "…")
