"""The Pareto front of a study with several objectives."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from matplotlib.axes import Axes

from sweeper.figures.study.values import ValueAxis, note_of
from sweeper.figures.study.view import StudyView, TrialView
from sweeper.figures.style import (
    BLUE,
    GREY,
    MARGIN,
    RED,
    SMALL,
    StyledFigure,
    new_figure,
    panel,
    styled,
)

MOST_PANELS = 6
MOST_NUMBERS = 12
"""The largest number of members of the front that are labelled with their numbers."""


@styled()
def pareto_front(view: StudyView) -> StyledFigure:
    """Draw each pair of objectives in a panel: the trials, the front, and its chosen member."""
    pairs = list(combinations(range(len(view.metrics)), 2))
    shown = pairs[:MOST_PANELS]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    note = f"{len(pairs) - len(shown)} pairs left out" if len(pairs) > len(shown) else ""
    n_complete = view.counts.get("complete", 0)
    beyond = note_of([axis_of(view, objective) for objective in range(len(view.metrics))])
    on_front = f"{len(view.front)} of {n_complete} complete trials on the front"
    about = view.heading(on_front, note, beyond)
    each_height = 4.9 if columns == 1 else 3.9
    figure = new_figure(
        max(10.0, 4.8 * columns), each_height * rows, "Pareto front", about, layout=None
    )
    width, height = figure.get_size_inches()
    pitch = (width - 2 * MARGIN) / columns
    for i, (first, second) in enumerate(shown):
        row, column = divmod(i, columns)
        across, up = axis_of(view, first), axis_of(view, second)
        axes = panel(
            figure,
            MARGIN + pitch * column + up.width,
            height - figure.header - each_height * (row + 1) + 0.65,
            pitch - up.width - 0.3,
            each_height - 0.95,
        )
        draw_front(axes, view, first, second)
        across.apply(axes, length=pitch - up.width, horizontal=True)
        up.apply(axes, length=each_height - 0.95)
        if i == 0:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.1)
    return figure


def axis_of(view: StudyView, objective: int) -> ValueAxis:
    """Return the axis of an objective."""
    values = [trial.values[objective] for trial in view.valued]
    return ValueAxis.of(values, view.metrics[objective], view.maximize[objective])


def draw_front(axes: Axes, view: StudyView, first: int, second: int) -> None:
    """Draw the trials by two of their objectives; with two in all, a line joins the front."""
    across, up = axis_of(view, first), axis_of(view, second)

    def at(trial: TrialView) -> tuple[float, float]:
        return across.within(trial.values[first]), up.within(trial.values[second])

    others = [at(t) for t in view.valued if t.number not in view.front]
    front = [t for t in view.valued if t.number in view.front]
    if others:
        axes.scatter(
            *_columns(others), s=30, color=GREY, label="other trials", zorder=2, clip_on=False
        )
    if front:
        points = sorted(at(trial) for trial in front)
        axes.scatter(
            *_columns(points), s=50, color=BLUE, label="Pareto front", zorder=3, clip_on=False
        )
        if len(view.metrics) == 2:
            where: Literal["pre", "post"] = "pre" if view.maximize[0] else "post"
            axes.step(*_columns(points), where=where, color=BLUE, lw=1.2, zorder=2.5)
    best = view.best_trial
    if best is not None and best.has_values:
        axes.scatter(
            *at(best), s=180, facecolors="none", edgecolors=RED, linewidths=2.2, zorder=4,
            clip_on=False, label=f"chosen: trial {best.number}",
        )  # fmt: skip
    if len(front) <= MOST_NUMBERS:
        for x, y, number in ((*at(trial), trial.number) for trial in front):
            # Towards the middle: there may be a legend above, and the end of the figure beside.
            is_right, is_high = x > (across.low + across.high) / 2, y > (up.low + up.high) / 2
            axes.annotate(
                str(number), (x, y), (-7 if is_right else 7, -7 if is_high else 7),
                textcoords="offset points", fontsize=SMALL - 1,
                ha="right" if is_right else "left", va="top" if is_high else "bottom",
            )  # fmt: skip


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
