"""Histograms of a network's weights or gradients, layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sweeper.figures.style import new_figure

MAX_PANELS = 30
_BINS = 64
_FILL, _LINE = "#4477aa", "#888888"


def histograms(values: Mapping[str, NDArray[np.float32]], heading: str) -> Figure:
    """Draw a histogram of each layer's finite values, with their mean and standard deviation.

    The extreme 0.1 % of the values at either end are not drawn. Of a network with more than 30
    layers, 30 are drawn, evenly spread from the first to the last.

    values: float32 arrays of any shape; the keys are layer names.
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
    note = f" ({len(names)} of {len(values)} layers)" if len(names) < len(values) else ""
    figure.suptitle(heading + note, fontsize=11)
    return figure


def _draw_histogram(axes: Axes, name: str, values: NDArray[np.float32]) -> None:
    finite = values[np.isfinite(values)]
    if finite.size:
        # A few outliers would leave a single bar for all other values.
        limits = np.quantile(finite, (0.001, 0.999))
        axes.stairs(*np.histogram(finite, _BINS, tuple(limits)), fill=True, color=_FILL)
        mean, deviation = float(finite.mean()), float(finite.std())
        axes.set_title(f"{name}\n{mean:.2g} ± {deviation:.2g}", fontsize=8)
    axes.axvline(0, color=_LINE, linewidth=0.8)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(axis="x", scilimits=(-2, 3))
    axes.xaxis.get_offset_text().set_fontsize(7)
    axes.tick_params(labelsize=7)
