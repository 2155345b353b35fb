"""A line for each trial of a study, through an axis for each of its parameters."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.study.ticks import Ticks
from sweeper.figures.study.values import ValueAxis, note_of
from sweeper.figures.study.view import Parameter, StudyView
from sweeper.figures.style import (
    BLUE,
    GREY,
    RED,
    SMALL,
    SOFT,
    StyledFigure,
    new_figure,
    panel,
    styled,
)
from sweeper.text import plural

MOST_AXES = 9
"""The largest number of parameters; the less important ones are left out."""
_UNUSED = -0.12
"""The place of trials that do not have a parameter, below its axis."""
_ABOVE, _BELOW, _EDGE = 0.6, 0.45, 0.9  # inches


@styled()
def parallel_coordinates(view: StudyView) -> StyledFigure:
    """Draw a line for each trial with a value; the objectives are the last axes.

    The parameters are in order of their importance. The best trial is in red, and the best fifth,
    or the Pareto front, in blue.
    """
    shown = view.parameters[:MOST_AXES]
    axes_of_values = [
        ValueAxis.of([t.values[i] for t in view.valued], name, view.maximize[i])
        for i, name in enumerate(view.metrics)
    ]
    n = len(shown) + len(axes_of_values)
    left_out = len(view.parameters) - len(shown)
    note = f"{left_out} less important parameters left out" if left_out else ""
    best = "" if view.best is None else f"red: trial {view.best}, the best"
    n_blue = _n_blue(view)
    half = f"blue: the best {n_blue}" if len(view.metrics) == 1 else "blue: the Pareto front"
    about = view.heading(
        plural(len(view.valued), "trial"), half, best, note, note_of(axes_of_values)
    )
    figure = new_figure(max(10.0, 1.55 * n), 5.2, "Trials through all parameters", about, None)
    width, height = figure.get_size_inches()
    texts = [text for _, text in axes_of_values[-1].ticks]
    right = max(_EDGE, *(text_width(text, SMALL - 1) + 0.2 for text in texts), 0.0)
    pitch = (width - _EDGE - right) / max(n - 1, 1)
    axes = panel(
        figure, _EDGE, _BELOW, pitch * max(n - 1, 1), height - figure.header - _ABOVE - _BELOW
    )
    axes.set_axis_off()
    lines = _lines(view, shown, axes_of_values)
    lowest = _UNUSED if (lines == _UNUSED).any() else 0.0
    axes.set(xlim=(0, max(n - 1, 1)), ylim=(lowest, 1))
    places = np.arange(n)
    in_blue = _in_blue(view)
    for colour, width_of_line, chosen in (
        (GREY, 1.0, [not b for b in in_blue]),
        (BLUE, 1.3, in_blue),
        (RED, 2.8, [trial.number == view.best for trial in view.valued]),
    ):
        segments = [
            np.column_stack([places, line]) for line, c in zip(lines, chosen, strict=True) if c
        ]
        alpha = 1.0 if colour == RED else max(0.2, min(0.8, 25 / max(len(segments), 1)))
        axes.add_collection(
            LineCollection(segments, colors=colour, linewidths=width_of_line, alpha=alpha),
        )
    titles = [p.name for p in shown] + [axis.name for axis in axes_of_values]
    ticks = [p.ticks(5) for p in shown] + [_value_ticks(axis) for axis in axes_of_values]
    has_gaps = (lines == _UNUSED).any(axis=0)
    for at, (title, marks) in enumerate(zip(titles, ticks, strict=True)):
        gap = [(_UNUSED, "none")] if has_gaps[at] else []
        _axis(axes, at, title, [*marks, *gap], pitch, to_right=at == n - 1)
    return figure


def _lines(
    view: StudyView, shown: Sequence[Parameter], values: Sequence[ValueAxis]
) -> NDArray[np.float64]:
    """Return the place of each trial on each axis, between 0 and 1; (trials, axes)."""
    rows = []
    for trial in view.valued:
        row = [p.position(trial.params[p.name]) if p.name in trial.params else math.nan
               for p in shown]  # fmt: skip
        row += [
            (axis.within(value) - axis.low) / (axis.high - axis.low)
            for axis, value in zip(values, trial.values, strict=True)
        ]
        rows.append(row)
    lines: NDArray[np.float64] = np.nan_to_num(np.array(rows), nan=_UNUSED)
    return lines


def _in_blue(view: StudyView) -> list[bool]:
    if len(view.metrics) > 1:
        return [trial.number in view.front for trial in view.valued]
    best = {trial.number for trial in view.ranked[: _n_blue(view)]}
    return [trial.number in best for trial in view.valued]


def _n_blue(view: StudyView) -> int:
    return -(-len(view.valued) // 5)


def _value_ticks(axis: ValueAxis) -> Ticks:
    return [((value - axis.low) / (axis.high - axis.low), text) for value, text in axis.ticks]


def _axis(axes: Axes, at: int, title: str, ticks: Ticks, pitch: float, to_right: bool) -> None:
    axes.plot([at, at], [0, 1], color=SOFT, lw=1.0, zorder=3)
    group, dot, name = title.rpartition(".")
    lines = [group + dot, name] if dot else [name]
    room = min(pitch, 2 * _EDGE) - 0.1
    text = "\n".join(fitted(line, room, SMALL, bold=True) for line in lines)
    axes.text(at, 1.04, text, ha="center", va="bottom", weight="bold", fontsize=SMALL)
    side = 1 if to_right else -1  # the lines end at the last axis
    room_of_ticks = min(pitch, _EDGE + 0.2) - 0.25
    last = -9.0
    for place, label in sorted(ticks):
        if place - last < 0.05:  # no room for a text
            continue
        last = place
        axes.plot([at, at + side * 0.03 / pitch], [place, place], color=SOFT, lw=1.0, zorder=3)
        axes.text(
            at + side * 0.06 / pitch,
            place,
            label if to_right else fitted(label, room_of_ticks, SMALL - 1, keep_end=True),
            ha="left" if to_right else "right",
            va="center",
            fontsize=SMALL - 1,
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0},
        )
