"""Histograms of a network's weights or gradients, layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sweeper.figures.lettering import fitted
from sweeper.figures.style import BLUE, GREY, StyledFigure, joined, new_figure, styled

MAX_PANELS = 30
_BINS = 64


@styled()
def histograms(values: Mapping[str, NDArray[np.float32]], heading: str) -> StyledFigure:
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
    note = f"{len(names)} of {len(values)} layers" if len(names) < len(values) else ""
    about = joined("each with its mean and standard deviation", note)
    figure = new_figure(2.6 * columns, 1.9 * rows, heading, about)
    cells: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for axes in cells.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(cells.flat, names, strict=False):
        _draw_histogram(axes, name, values[name])
    return figure


def _draw_histogram(axes: Axes, name: str, values: NDArray[np.float32]) -> None:
    finite = values[np.isfinite(values)]
    if finite.size:
        # A few outliers would leave a single bar for all other values.
        limits = np.quantile(finite, (0.001, 0.999))
        axes.stairs(*np.histogram(finite, _BINS, tuple(limits)), fill=True, color=BLUE)
        mean, deviation = float(finite.mean()), float(finite.std())
        axes.set_title(
            f"{fitted(name, 2.0, 10)}\n{mean:.2g} ± {deviation:.2g}", fontsize=10, loc="left"
        )
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.ticklabel_format(axis="x", scilimits=(-2, 3))
    axes.xaxis.get_offset_text().set_fontsize(9)
    axes.tick_params(labelsize=9)
