"""Figures of data with strings."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from sweeper.figures.style import new_figure


def accuracy_by_length(lengths: ArrayLike, correct: ArrayLike) -> Figure:
    """Draw the share of correct strings as a bar for each length.

    lengths: (N,) integers, the number of characters in each true string.
    correct: (N,) booleans, whether the whole string was predicted.
    """
    unique, group, counts = np.unique(np.asarray(lengths), return_inverse=True, return_counts=True)
    shares = np.bincount(group, weights=np.asarray(correct, dtype=float)) / counts
    figure = new_figure(max(4.5, 0.9 * len(unique) + 1.5), 4)
    axes = figure.subplots()
    bars = axes.bar(unique, shares, color="#4477aa")
    labels = [f"{share:.1%}\nof {count:,}" for share, count in zip(shares, counts, strict=True)]
    axes.bar_label(bars, labels, padding=2, fontsize=9)
    axes.set(xlabel="characters", ylabel="correct strings", ylim=(0, 1.15))
    axes.set_title(f"{counts.sum():,} strings, {shares @ counts / counts.sum():.2%} correct")
    axes.set_xticks(unique)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure
