"""The learning curves of the trials of a study."""

import math

from matplotlib.collections import LineCollection

from sweeper.figures.lettering import text_width
from sweeper.figures.study.ticks import linear_ticks
from sweeper.figures.study.values import ValueAxis
from sweeper.figures.study.view import StudyView, TrialView
from sweeper.figures.style import (
    BLUE,
    GREY,
    MARGIN,
    SMALL,
    StyledFigure,
    new_figure,
    panel,
    styled,
)
from sweeper.text import plural


@styled()
def learning_curves(view: StudyView) -> StyledFigure:
    """Draw what the trials reported by epoch: the best trial in colour, the others in grey.

    A dot marks where a trial was paused, pruned or at its end.
    """
    values = [value for trial in view.trials for _, value in trial.curve if math.isfinite(value)]
    axis = ValueAxis.of(values, view.metrics[0], view.maximize[0])
    trials = [trial for trial in view.trials if _finite(trial)]
    best = view.best_trial
    label = "" if best is None else f"trial {best.number}"
    about = view.heading(plural(len(trials), "trial"), axis.note)
    title = f"Learning curves: {view.metrics[0]} by epoch"
    if best is not None:
        title += ", the best trial in colour"
    figure = new_figure(10, 4.9, title, about, layout=None)
    width, height = figure.get_size_inches()
    right = text_width(label, SMALL, bold=True) + 0.15
    inner = width - axis.width - 2 * MARGIN - right, height - figure.header - 0.85
    axes = panel(figure, axis.width + MARGIN, 0.65, *inner)
    others = [[(e, axis.within(v)) for e, v in _finite(t)] for t in trials if t.number != view.best]
    alpha = max(0.25, min(1.0, 12 / max(len(others), 1)))
    axes.add_collection(LineCollection(others, colors=GREY, linewidths=1.2, alpha=alpha))
    if others:
        ends = zip(*(line[-1] for line in others), strict=True)
        axes.scatter(*ends, s=16, color=GREY, clip_on=False)
    longest = max((trial.epochs for trial in trials), default=1.0)
    if best is not None and _finite(best):
        x, y = zip(*_finite(best), strict=True)
        markers = "o" if len(x) <= 30 else ""
        axes.plot(
            x,
            [axis.within(v) for v in y],
            color=BLUE,
            lw=2.6,
            marker=markers,
            zorder=4,
            clip_on=False,
        )
        axes.annotate(
            label, (x[-1], axis.within(y[-1])), (8, 0), textcoords="offset points", va="center",
            color=BLUE, weight="bold", fontsize=SMALL, annotation_clip=False,
        )  # fmt: skip
    axis.apply(axes, length=inner[1])
    first = min((trial.curve[0][0] for trial in trials), default=0.0)
    ticks = linear_ticks(min(first, 1.0), longest, 10, integer=True)
    axes.set_xticks([value for value, _ in ticks], [text for _, text in ticks])
    slack = 0.02 * max(longest - first, 1.0)
    axes.set_xlim(first - slack, longest + slack)
    axes.set_xlabel("epoch")
    return figure


def has_curves(view: StudyView) -> bool:
    """Return whether a trial has reported more than once."""
    return any(len(_finite(trial)) > 1 for trial in view.trials)


def _finite(trial: TrialView) -> list[tuple[float, float]]:
    return [(epochs, value) for epochs, value in trial.curve if math.isfinite(value)]
