"""Feature maps as sheets of pictures: a row an image, a column a channel.

Drawn with PIL, in a tenth of the time that matplotlib takes, since training waits for it.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MAX_CHANNELS = 16
_CELL, _GAP, _LINE = 72, 4, 22  # pixels: the longer side of a map, between maps, a line of text
_BAR = 90  # pixels of the scale of colours
_INK = (40, 40, 40)

Maps = NDArray[np.float32]


def feature_maps(
    images: Sequence[Image.Image],
    labels: Sequence[str],
    before: Maps,
    after: Maps | None,
    activation: str,
    heading: str,
) -> Image.Image:
    """Return a panel of what the activation received, and one of what it returned.

    before and after: (N, C, H, W) of the N images, (N, T, D), or (N, F) of a layer of F units;
    only the first 16 channels are drawn. Colours share one scale in a panel: before the
    activation blue is negative, white zero and red positive; after it dark is the least. The
    highest of a thousand values are cut off, so that a single peak does not darken the rest.
    """
    pictures = [np.asarray(image.convert("RGB")) for image in images]
    panels = [("output" if after is None else f"before {activation}", before, "RdBu_r")]
    if after is not None:
        panels.append((f"after {activation}", after, "viridis"))
    total = _as_maps(before).shape[1]
    title = f"{heading}: {min(MAX_CHANNELS, total)} of {total} channels"
    drawn = [_text(title, 15)]
    for name, values, colors in panels:
        maps = _as_maps(values)[:, :MAX_CHANNELS]
        drawn += [_text(name, 12), _panel(pictures, labels, maps, colors)]
    return _stacked(drawn)


def _limits(maps: Maps, diverging: bool) -> tuple[float, float]:
    """Return the values at the ends of the scale of colours."""
    low, high = (float(value) for value in np.quantile(maps, (0.001, 0.999)))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return (low, high) if high > low else (low, low + 1.0)


def _as_maps(values: Maps) -> Maps:
    """(N, F) as F maps of one pixel, (N, T, D) as one map, (N, C, H, W) as it is."""
    if values.ndim == 3:
        return values[:, None]
    return values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))


def _panel(
    pictures: Sequence[NDArray[np.uint8]], labels: Sequence[str], maps: Maps, colors: str
) -> Image.Image:
    low, high = _limits(maps, diverging=colors == "RdBu_r")
    scaled = np.clip((maps - low) / (high - low), 0, 1)
    tiles: NDArray[np.uint8] = colormaps[colors](scaled, bytes=True)[..., :3]
    rows = [[picture, *row] for picture, row in zip(pictures, tiles, strict=True)]
    height, width = (max(8, round(_CELL * n / max(maps.shape[2:]))) for n in maps.shape[2:])
    left = max(_width(label, 11) for label in labels) + 2 * _GAP
    columns = [left + (width + _GAP) * column for column in range(len(rows[0]))]
    bottom, right = (height + _GAP) * len(rows), columns[-1] + width
    sheet = Image.new("RGB", (right + _BAR, bottom + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (label, drawn) in enumerate(zip(labels, rows, strict=True)):
        top = (height + _GAP) * row
        pen.text((left - _GAP, top + height // 2), label, _INK, _font(11), anchor="rm")
        for x, tile in zip(columns, drawn, strict=True):
            sheet.paste(_sized(tile, width, height), (x, top))
    for x, name in zip(columns, ["image", *map(str, range(maps.shape[1]))], strict=True):
        pen.text((x + width // 2, bottom), name, _INK, _font(10), anchor="ma")
    sheet.paste(_scale(colors, low, high, bottom - _GAP), (right + 3 * _GAP, 0))
    return sheet


def _scale(colors: str, low: float, high: float, height: int) -> Image.Image:
    """Return the scale of colours, with the values at its ends."""
    sheet = Image.new("RGB", (_BAR - 3 * _GAP, height), "white")
    ramp = colormaps[colors](np.linspace(1, 0, height), bytes=True)[:, None, :3]
    sheet.paste(_sized(ramp, 12, height), (0, 0))
    pen = ImageDraw.Draw(sheet)
    pen.text((16, 0), f"{high:.2g}", _INK, _font(10), anchor="la")
    pen.text((16, height), f"{low:.2g}", _INK, _font(10), anchor="ld")
    return sheet


def _sized(pixels: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    enlarged = width >= image.width
    return image.resize(
        (width, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX
    )


def _text(text: str, size: int) -> Image.Image:
    line = Image.new("RGB", (_width(text, size) + 2 * _GAP, _LINE), "white")
    ImageDraw.Draw(line).text((_GAP, _LINE // 2), text, _INK, _font(size), anchor="lm")
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
    return round(_font(size).getlength(text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)
