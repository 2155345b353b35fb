"""Figures of data with strings."""

import numpy as np
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from sweeper.figures.style import BLUE, StyledFigure, joined, new_figure, styled


@styled()
def accuracy_by_length(
    lengths: ArrayLike, correct: ArrayLike, title: str = "Accuracy by length", about: str = ""
) -> StyledFigure:
    """Draw the share of correct strings as a bar for each length.

    lengths: (N,) integers, the number of characters in each true string.
    correct: (N,) booleans, whether the whole string was predicted.
    about: of which network and data.
    """
    unique, group, counts = np.unique(np.asarray(lengths), return_inverse=True, return_counts=True)
    shares = np.bincount(group, weights=np.asarray(correct, dtype=float)) / counts
    n = int(counts.sum())
    about = joined(about, f"{n:,} strings, {shares @ counts / max(n, 1):.2%} correct")
    figure = new_figure(1.1 * len(unique) + 1.5, 4.6, title, about)
    axes = figure.subplots()
    bars = axes.bar(unique, shares, color=BLUE, width=0.7)
    labels = [f"{share:.1%}\nof {count:,}" for share, count in zip(shares, counts, strict=True)]
    axes.bar_label(bars, labels, padding=2, fontsize=11)
    axes.set(xlabel="characters in the string", ylabel="correct strings", ylim=(0, 1.2))
    axes.grid(visible=False, axis="x")
    axes.set_xticks(unique)
    if len(unique):
        axes.set_xlim(min(unique) - 1, max(unique) + 1)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure
