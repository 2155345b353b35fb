"""The axis of the objective's values."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.study.ticks import Ticks, linear_ticks
from sweeper.figures.style import SMALL

_REACH = 3.0
"""How far the axis reaches below the best value, in distances from it to the median."""


@dataclass(frozen=True)
class ValueAxis:
    """An axis for values, of which the far worse ones are drawn at its edge.

    A diverged trial would else squeeze all others into one line.

    Args:
        name: The name of the metric.
        maximize: True if higher values are better.
        low: The lowest value within the axis.
        high: The highest value within the axis.
        n_beyond: The number of values that are worse than the axis shows.
    """

    name: str
    maximize: bool
    low: float
    high: float
    n_beyond: int = 0

    @staticmethod
    def of(values: Sequence[float], name: str, maximize: bool) -> "ValueAxis":
        """Return the axis for finite values."""
        if not values:
            return ValueAxis(name, maximize, 0.0, 1.0)
        low, high = min(values), max(values)
        best, middle = high if maximize else low, statistics.median(values)
        reach = best + _REACH * (middle - best)
        if middle != best:
            low, high = (max(low, reach), high) if maximize else (low, min(high, reach))
        n_beyond = sum(value < low or value > high for value in values)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        return ValueAxis(name, maximize, low - margin, high + margin, n_beyond)

    def within(self, value: float) -> float:
        """Return the value, or the edge of the axis beyond which it lies."""
        return min(max(value, self.low), self.high)

    @property
    def ticks(self) -> Ticks:
        """The values at its ticks, with their texts."""
        return linear_ticks(self.low, self.high, 6)

    @property
    def label(self) -> str:
        """The name of the metric, with its direction."""
        return f"{self.name} ({'higher' if self.maximize else 'lower'} is better)"

    @property
    def note(self) -> str:
        """What is not within the axis; empty if all is."""
        if not self.n_beyond:
            return ""
        edge = "lower" if self.maximize else "upper"
        lie = "value lies" if self.n_beyond == 1 else "values lie"
        return f"{self.n_beyond} far worse {lie} at the {edge} edge"

    @property
    def width(self) -> float:
        """The room in inches that the ticks and the label need beside the axes."""
        return 0.5 + max((text_width(text, SMALL) for _, text in self.ticks), default=0.0)

    def apply(self, axes: Axes, length: float | None = None, horizontal: bool = False) -> None:
        """Give axes this axis, the vertical one unless `horizontal`.

        length: its length in inches, for a label that fits; None for no label.
        """
        positions, texts = [value for value, _ in self.ticks], [text for _, text in self.ticks]
        label = ""
        if length is not None:
            has_room = text_width(self.label, 12) <= length
            label = self.label if has_room else fitted(self.name, length, 12)
        if horizontal:
            axes.set_xticks(positions, texts)
            axes.set_xlim(self.low, self.high)
            axes.set_xlabel(label)
        else:
            axes.set_yticks(positions, texts)
            axes.set_ylim(self.low, self.high)
            axes.set_ylabel(label)


def note_of(axes: Sequence[ValueAxis]) -> str:
    """Return what is not within the axes of one figure; empty if all is."""
    if len(axes) == 1:
        return axes[0].note
    n_beyond = sum(axis.n_beyond for axis in axes)
    if not n_beyond:
        return ""
    if n_beyond == 1:
        return "1 far worse value lies at an edge"
    return f"{n_beyond} far worse values lie at the edges"
