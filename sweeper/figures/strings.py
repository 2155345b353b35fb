"""Figures of strings that were read off images."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from sweeper.figures.style import new_figure


def accuracy_by_length(lengths: ArrayLike, right: ArrayLike) -> Figure:
    """A bar for each length of string: the share of them read without a mistake, and how many.

    lengths: (N,) characters of the true strings; right: (N,) whether all of one was read.
    """
    found, group, counts = np.unique(np.asarray(lengths), return_inverse=True, return_counts=True)
    shares = np.bincount(group, weights=np.asarray(right, dtype=float)) / counts
    figure = new_figure(max(4.5, 0.9 * len(found) + 1.5), 4)
    axes = figure.subplots()
    bars = axes.bar(found, shares, color="#4477aa")
    labels = [f"{share:.1%}\nof {count:,}" for share, count in zip(shares, counts, strict=True)]
    axes.bar_label(bars, labels, padding=2, fontsize=9)
    axes.set(xlabel="characters", ylabel="strings read without a mistake", ylim=(0, 1.15))
    axes.set_title(f"{counts.sum():,} strings, {shares @ counts / counts.sum():.2%} right")
    axes.set_xticks(found)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure
