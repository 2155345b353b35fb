"""The history of a study: the value of each trial, and the best so far."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from sweeper.figures.study.ticks import linear_ticks
from sweeper.figures.study.values import ValueAxis
from sweeper.figures.study.view import StudyView, TrialView
from sweeper.figures.style import (
    BLUE,
    GREEN,
    GREY,
    MARGIN,
    ORANGE,
    RED,
    SKY,
    StyledFigure,
    new_figure,
    panel,
    styled,
)

MARKS: dict[str, dict[str, Any]] = {
    "complete": {"marker": "o", "color": BLUE, "s": 44},
    "paused": {"marker": "o", "facecolors": "white", "edgecolors": SKY, "s": 36, "linewidths": 1.6},
    "unfinished": {"marker": "D", "facecolors": "white", "edgecolors": GREY, "s": 30},
    "pruned": {"marker": "x", "color": ORANGE, "s": 36, "linewidths": 1.6},
    "failed": {"marker": "|", "color": RED, "s": 90, "linewidths": 2},
}
"""How the trials of each state are drawn."""


@styled()
def history(view: StudyView) -> StyledFigure:
    """Draw the value of each trial of a study with one objective, by its number.

    Trials that were paused or pruned are drawn with what they reported last. Only complete trials
    count for the best value so far.
    """
    axis = ValueAxis.of([t.values[0] for t in view.valued], view.metrics[0], view.maximize[0])
    without = len(view.trials) - len(view.valued) - view.counts.get("failed", 0)
    note = f"{without} without a value" if without else ""
    about = view.heading(view.counts_text, note, axis.note)
    figure = new_figure(10, 4.9, f"{view.metrics[0]} of each trial", about, layout=None)
    width, height = figure.get_size_inches()
    inner = width - axis.width - 2 * MARGIN, height - figure.header - 1.05
    axes = panel(figure, axis.width + MARGIN, 0.65, *inner)
    draw_history(axes, view, axis)
    axis.apply(axes, length=inner[1])
    axes.set_xlabel("trial")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, borderaxespad=0.2)
    return figure


def draw_history(axes: Axes, view: StudyView, axis: ValueAxis) -> None:
    """Draw the trials and the best value so far into axes whose vertical one is `axis`."""
    numbers = [trial.number for trial in view.trials] or [0]
    first, last = min(numbers), max(numbers)
    for state in view.counts:
        trials = [trial for trial in view.trials if trial.state == state]
        if state == "failed":
            points = [(trial.number, axis.low + 0.02 * (axis.high - axis.low)) for trial in trials]
        else:
            points = [(t.number, axis.within(t.values[0])) for t in trials if t.has_values]
        if points:
            axes.scatter(
                *zip(*points, strict=True), label=state, zorder=3, clip_on=False, **MARKS[state]
            )
    steps = best_so_far(view)
    if steps:
        x, y = zip(*steps, (last + 0.5, steps[-1][1]), strict=True)
        axes.step(x, y, where="post", color=GREEN, label="best so far", zorder=2)
    ticks = linear_ticks(first, last, 10, integer=True)
    axes.set_xticks([value for value, _ in ticks], [text for _, text in ticks])
    axes.set_xlim(first - 0.5, last + 0.5)


def best_so_far(view: StudyView) -> Sequence[tuple[float, float]]:
    """Return the trials that were better than all complete ones before them, and their values.

    Trials that violate a constraint are left out.
    """
    steps: list[tuple[float, float]] = []
    for trial in view.valued:
        if _can_be_best(trial) and (not steps or view.is_better(trial.values[0], steps[-1][1])):
            steps.append((float(trial.number), trial.values[0]))
    return steps


def _can_be_best(trial: TrialView) -> bool:
    return trial.state == "complete" and trial.is_feasible
