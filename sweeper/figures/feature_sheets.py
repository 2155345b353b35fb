"""Sheets of feature maps: a row for each image, a column for each channel.

Training waits while a sheet is drawn, so PIL draws it, in a tenth of matplotlib's time.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sweeper.figures.lettering import font

MAX_CHANNELS = 16
_WIDTH = 1700  # pixels of a sheet, about
_SMALLEST, _LARGEST = 88, 300  # pixels of the longer side of a map
_GAP, _LINE = 8, 40  # pixels: gap between maps, line of text
_COLOR_BAR = 130  # width in pixels
_TITLE, _TEXT, _SMALL = 30, 22, 18  # sizes of text in pixels
_TEXT_COLOR = (34, 34, 34)

Maps = NDArray[np.float32]


def feature_maps(
    images: Sequence[Image.Image],
    labels: Sequence[str],
    before: Maps,
    after: Maps | None,
    activation: str,
    heading: str,
) -> Image.Image:
    """Return a picture with a panel of an activation's inputs and one of its outputs.

    Only the first 16 channels are drawn. All maps of a panel share one colour scale. In the panel
    of the inputs blue is negative, white is zero and red is positive; in that of the outputs the
    darkest colour is the lowest value. The scales clip the extreme 0.1 % of the values at
    either end, so that a single peak does not take the contrast from all others.

    images: N pictures, or none if they cannot be drawn; labels: N texts.
    before: the inputs of the activation as float32, of shape (N, C, H, W), (N, T, D) for T time
        steps, or (N, F) for F units.
    after: the outputs of the activation in the same form, or None for a layer without activation.
    activation: the name of the activation.
    """
    pictures = [[np.asarray(image.convert("RGB"))] for image in images] or [[]] * len(labels)
    panels = [("output" if after is None else f"before {activation}", before, "RdBu_r")]
    if after is not None:
        panels.append((f"after {activation}", after, "viridis"))
    n_channels = _as_maps(before).shape[1]
    title = f"{heading}: {min(MAX_CHANNELS, n_channels)} of {n_channels} channels"
    parts = [_text(title, _TITLE, bold=True)]
    for name, values, colors in panels:
        maps = _as_maps(values)[:, :MAX_CHANNELS]
        parts += [_text(name, _TEXT), _panel(pictures, labels, maps, colors)]
    return _stacked(parts)


def _limits(maps: Maps, diverging: bool) -> tuple[float, float]:
    """Return the values at the ends of the colour scale."""
    low, high = (float(value) for value in np.quantile(maps, (0.001, 0.999)))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return (low, high) if high > low else (low, low + 1.0)


def _as_maps(values: Maps) -> Maps:
    """Return values as maps of shape (N, C, H, W).

    (N, F) becomes F maps of one pixel, and (N, T, D) becomes one map.
    """
    if values.ndim == 3:
        return values[:, None]
    return values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))


def _panel(
    pictures: Sequence[list[NDArray[np.uint8]]], labels: Sequence[str], maps: Maps, colors: str
) -> Image.Image:
    """Return a panel with the maps beside their pictures.

    pictures: N lists, each of one picture (H, W, 3) or of none.
    maps: (N, C, H, W); colors: the name of a colour map.
    """
    low, high = _limits(maps, diverging=colors == "RdBu_r")
    scaled = np.clip((maps - low) / (high - low), 0, 1)
    tiles: NDArray[np.uint8] = colormaps[colors](scaled, bytes=True)[..., :3]
    rows = [[*picture, *row] for picture, row in zip(pictures, tiles, strict=True)]
    left = max(_width(label, _TEXT) for label in labels) + 2 * _GAP
    cell = map_side(maps.shape[1], left)
    height, width = (max(8, round(cell * n / max(maps.shape[2:]))) for n in maps.shape[2:])
    columns = [left + (width + _GAP) * column for column in range(len(rows[0]))]
    bottom, right = (height + _GAP) * len(rows), columns[-1] + width
    sheet = Image.new("RGB", (right + _COLOR_BAR, bottom + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (label, tiles_of_row) in enumerate(zip(labels, rows, strict=True)):
        top = (height + _GAP) * row
        pen.text((left - _GAP, top + height // 2), label, _TEXT_COLOR, font(_TEXT), anchor="rm")
        for x, tile in zip(columns, tiles_of_row, strict=True):
            sheet.paste(_resized(tile, width, height), (x, top))
    names = [*["image"] * len(pictures[0]), *map(str, range(maps.shape[1]))]
    for x, name in zip(columns, names, strict=True):
        pen.text((x + width // 2, bottom), name, _TEXT_COLOR, font(_SMALL), anchor="ma")
    sheet.paste(_color_bar(colors, low, high, bottom - _GAP), (right + 3 * _GAP, 0))
    return sheet


def _color_bar(colors: str, low: float, high: float, height: int) -> Image.Image:
    """Return the colour scale with the values at its ends."""
    sheet = Image.new("RGB", (_COLOR_BAR - 3 * _GAP, height), "white")
    ramp = colormaps[colors](np.linspace(1, 0, height), bytes=True)[:, None, :3]
    sheet.paste(_resized(ramp, 20, height), (0, 0))
    pen = ImageDraw.Draw(sheet)
    pen.text((26, 0), f"{high:.2g}", _TEXT_COLOR, font(_SMALL), anchor="la")
    pen.text((26, height), f"{low:.2g}", _TEXT_COLOR, font(_SMALL), anchor="ld")
    return sheet


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """Return (H, W, 3) pixels as an image; enlarged pixels stay sharp."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    enlarged = width >= image.width
    return image.resize(
        (width, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    )


def map_side(n_channels: int, left: int) -> int:
    """Return the longer side of a map in pixels, beside labels that take `left` pixels."""
    room = (_WIDTH - left - _COLOR_BAR) // (n_channels + 1) - _GAP
    return min(max(room, _SMALLEST), _LARGEST)


def _text(text: str, size: int, bold: bool = False) -> Image.Image:
    width = round(font(size, bold).getlength(text)) + 2 * _GAP
    line = Image.new("RGB", (width, round(1.4 * size)), "white")
    pen = ImageDraw.Draw(line)
    pen.text((_GAP, line.height // 2), text, _TEXT_COLOR, font(size, bold), anchor="lm")
    return line


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    width, height = max(part.width for part in parts), sum(part.height for part in parts)
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def _width(text: str, size: int) -> int:
    return round(font(size).getlength(text))
