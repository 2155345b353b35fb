"""What a network looks like from inside, as matplotlib Figures: feature maps and histograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL.Image import Image

from sweeper.tracking.figures import new_figure

MAX_CHANNELS = 16
MAX_PANELS = 30
_CELL_PIXELS = 24  # a map of fewer pixels is enlarged, so that the gaps between maps stay thin
_BINS = 64
_FILL, _LINE = "#4477aa", "#888888"

Maps = NDArray[np.float32]


def feature_maps(
    images: Sequence[Image],
    labels: Sequence[str],
    before: Maps,
    after: Maps | None,
    activation: str,
    heading: str,
) -> Figure:
    """A row an image, a column a channel: what the activation received, and what it returned.

    before and after: (N, C, H, W) of the N images, or (N, F) of a layer of F units; only the
    first 16 channels are drawn. Colours share one scale in a panel: before it blue is negative,
    white zero and red positive; after it dark is the least. The highest of a thousand values are
    cut off, so that a single peak does not darken the rest.
    """
    panels = [("output" if after is None else f"before {activation}", before, "RdBu_r")]
    if after is not None:
        panels.append((f"after {activation}", after, "viridis"))
    total = _as_maps(before).shape[1]
    channels = min(MAX_CHANNELS, total)
    width, height = 0.8 * (channels + 2) + 1.2, 0.8 * len(images) + 0.6
    figure = new_figure(max(width, 5), height * len(panels) + 0.3)
    pictures = np.stack([np.asarray(image.convert("RGB")) for image in images])
    for axes, (title, values, colors) in zip(
        figure.subplots(len(panels), squeeze=False).flat, panels, strict=True
    ):
        maps = _as_maps(values)[:, :MAX_CHANNELS]
        drawn = _draw_maps(axes, pictures, labels, maps, colors)
        figure.colorbar(drawn, ax=axes, fraction=0.02, pad=0.01).ax.tick_params(labelsize=7)
        axes.set_title(title, fontsize=9)
    figure.suptitle(f"{heading}: {channels} of {total} channels", fontsize=11)
    return figure


def histograms(values: Mapping[str, NDArray[np.float32]], heading: str) -> Figure:
    """A panel a layer: how its finite values are distributed, with their mean and deviation.

    One value in a thousand at either end is not drawn. Of more than 30 layers, as many are
    drawn, evenly spread from the first to the last.
    """
    names = list(values)
    if len(names) > MAX_PANELS:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MAX_PANELS).round().astype(int)]
    columns = max(1, min(5, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = new_figure(max(2.4 * columns, 4), 1.7 * rows + 0.5)
    cells: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(cells.flat, names, strict=False):
        _draw_histogram(axes, name, values[name])
    of = f" ({len(names)} of {len(values)} layers)" if len(names) < len(values) else ""
    figure.suptitle(heading + of, fontsize=11)
    return figure


def _draw_maps(
    axes: Axes, pictures: NDArray[np.uint8], labels: Sequence[str], maps: Maps, colors: str
) -> AxesImage:
    """Draw in units of a map's width: the images from -1.25 on, channel k from k on."""
    rows, channels, height, width = maps.shape
    bottom = rows * height / width
    sheet = np.stack([_mosaic(pictures[:, None, :, :, c]) for c in range(3)], axis=2) / 255
    white = np.where(np.isnan(sheet), 1.0, sheet)
    axes.imshow(white, extent=(-1.25, -0.25, bottom, 0), interpolation="nearest")
    low, high = _limits(maps, diverging=colors == "RdBu_r")
    drawn = axes.imshow(
        _mosaic(maps),
        cmap=colors,
        vmin=low,
        vmax=high,
        extent=(0, channels, bottom, 0),
        interpolation="nearest",
    )
    axes.set_xlim(-1.25, channels)
    numbers = [str(channel) for channel in range(channels)]
    axes.set_xticks([-0.75, *(np.arange(channels) + 0.5)], ["image", *numbers], fontsize=7)
    axes.set_yticks((np.arange(rows) + 0.5) * bottom / rows, list(labels), fontsize=8)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return drawn


def _as_maps(values: Maps) -> Maps:
    """(N, F) as F maps of one pixel, (N, T, D) as one map, (N, C, H, W) as it is."""
    if values.ndim == 3:
        return values[:, None]
    return values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))


def _limits(maps: Maps, diverging: bool) -> tuple[float, float]:
    low, high = (float(v) for v in np.quantile(maps, (0.001, 0.999)))
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return (low, high) if high > low else (low, low + 1.0)


def _mosaic(maps: NDArray[Any]) -> NDArray[np.float64]:
    """(N, C, H, W) as one sheet of N rows and C columns, with gaps of NaN between."""
    scale = max(1, -(-_CELL_PIXELS // max(maps.shape[2:])))
    maps = np.kron(maps.astype(np.float64), np.ones((scale, scale)))
    rows, columns, height, width = maps.shape
    gap = max(1, round(0.06 * max(height, width)))
    sheet = np.full((rows, height + gap, columns, width + gap), np.nan)
    sheet[:, :height, :, :width] = maps.transpose(0, 2, 1, 3)
    return sheet.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]


def _draw_histogram(axes: Axes, name: str, values: NDArray[np.float32]) -> None:
    finite = values[np.isfinite(values)]
    if finite.size:
        ends = np.quantile(finite, (0.001, 0.999))  # a few far out would press the rest together
        axes.stairs(*np.histogram(finite, _BINS, tuple(ends)), fill=True, color=_FILL)
        mean, deviation = float(finite.mean()), float(finite.std())
        axes.set_title(f"{name}\n{mean:.2g} ± {deviation:.2g}", fontsize=8)
    axes.axvline(0, color=_LINE, linewidth=0.8)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(axis="x", scilimits=(-2, 3))
    axes.xaxis.get_offset_text().set_fontsize(7)
    axes.tick_params(labelsize=7)
