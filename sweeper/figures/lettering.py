"""Text of figures: its width, and its cut where there is no more room."""

from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import get_font
from PIL import ImageFont

from sweeper.text import printable

POINTS_PER_INCH = 72
_UNKNOWN_EMS = 1.12  # width of a character that the font does not have, in sizes of the font
_MEASURED = 100  # size in pixels of the font that texts are measured with


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font of all figures; `size` is in pixels."""
    return ImageFont.truetype(_path(bold), size)


def _path(bold: bool) -> Path:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(mpl.get_data_path(), "fonts/ttf", name)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text in inches; `size` is in points."""
    unknown = 0
    if not text.isascii():
        known = "".join(c for c in text if ord(c) in _characters())
        unknown, text = len(text) - len(known), known
    ems = font(_MEASURED, bold).getlength(text) / _MEASURED + _UNKNOWN_EMS * unknown
    return ems * size / POINTS_PER_INCH


@cache
def _characters() -> frozenset[int]:
    """Return the characters that the font has."""
    return frozenset(get_font(_path(bold=False)).get_charmap())


def fitted(text: str, width: float, size: float, bold: bool = False, keep_end: bool = False) -> str:
    """Return a text without control characters, cut with an ellipsis to a width in inches.

    keep_end: cut it in the middle, so that texts with the same beginning can be told apart.
    """
    text = printable(text)
    if text_width(text, size, bold) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(_cut(text, middle, keep_end), size, bold) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return _cut(text, low, keep_end)


def _cut(text: str, n_kept: int, keep_end: bool) -> str:
    """Return `n_kept` characters of a text, with an ellipsis in place of the others."""
    n_of_end = n_kept // 2 if keep_end else 0
    return f"{text[: n_kept - n_of_end].rstrip()}…{text[len(text) - n_of_end :].lstrip()}"


def wrapped(text: str, width: float, size: float, max_lines: int = 2) -> list[str]:
    """Return a text in lines of at most `width` inches; the last of `max_lines` is cut."""
    lines: list[str] = []
    for word in printable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        is_last = len(lines) == max_lines
        if lines and (is_last or text_width(longer, size) <= width):
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitted(line, width, size) for line in lines]
