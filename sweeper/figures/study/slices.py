"""A panel for each parameter of a study: its values, and what the trials with them reached."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from sweeper.figures.lettering import fitted, text_width
from sweeper.figures.study.values import ValueAxis
from sweeper.figures.study.view import Parameter, StudyView, TrialView
from sweeper.figures.style import (
    BLUE,
    MARGIN,
    RED,
    SMALL,
    StyledFigure,
    new_figure,
    panel,
    styled,
)
from sweeper.text import plural

MOST_PANELS = 12
COLUMNS = 4
LENGTHS = LinearSegmentedColormap.from_list("lengths", ["#b9dcf2", BLUE, "#00263d"])
"""Colours of trials, from those that were trained shortly to those that were trained to the end."""
_PANEL_HEIGHT, _ABOVE = 2.2, 0.4  # inches
_BELOW, _MOST_BELOW, _LINE = 0.55, 1.6, 0.2  # inches


@styled()
def slices(view: StudyView) -> StyledFigure:
    """Draw a panel for each parameter, the most important one first, categories evenly spaced.

    Every trial with a value is drawn, also if it was paused or pruned. The darker it is, the longer
    it was trained.
    """
    shown = view.parameters[:MOST_PANELS]
    axis = ValueAxis.of([t.values[0] for t in view.valued], view.metrics[0], view.maximize[0])
    columns = min(len(shown), COLUMNS)
    rows = -(-len(shown) // columns)
    width_of_panel = 9.0 / columns - 0.3
    below = max(_room_below(parameter, width_of_panel) for parameter in shown)
    one = _PANEL_HEIGHT + below + _ABOVE
    left_out = len(view.parameters) - len(shown)
    figure = new_figure(
        max(10.0, 3.2 * columns), one * rows, f"{view.metrics[0]} by parameter",
        view.heading(
            _trials_text(view), axis.note,
            f"{left_out} less important parameters left out" if left_out else "",
        ),
        layout=None,
    )  # fmt: skip
    width, height = figure.get_size_inches()
    left = axis.width + MARGIN
    pitch = (width - left - MARGIN) / columns
    for i, parameter in enumerate(shown):
        row, column = divmod(i, columns)
        bottom = height - figure.header - one * (row + 1) + below
        axes = panel(figure, left + pitch * column, bottom, pitch - 0.3, _PANEL_HEIGHT)
        _draw(axes, parameter, view, axis, pitch - 0.3)
        axis.apply(axes, length=_PANEL_HEIGHT if column == 0 else None)
        if column:
            axes.tick_params(axis="y", labelleft=False, length=0)
    return figure


def _trials_text(view: StudyView) -> str:
    trials = view.valued
    n_complete = sum(trial.state == "complete" for trial in trials)
    if n_complete == len(trials):
        return plural(n_complete, "complete trial")
    text = (
        f"{plural(len(trials), 'trial')} with what they reported last ({n_complete} complete); "
        "the darker, the longer trained"
    )
    return text + ("; ringed: the best" if view.best is not None else "")


def _draw(axes: Axes, parameter: Parameter, view: StudyView, axis: ValueAxis, width: float) -> None:
    trials = sorted((t for t in view.valued if parameter.name in t.params), key=_order)
    at = np.array([parameter.position(trial.params[parameter.name]) for trial in trials])
    values = np.array([axis.within(trial.values[0]) for trial in trials])
    if parameter.choices:
        room = min(0.18, 0.3 / len(parameter.choices))
        # The golden ratio spreads points that follow each other.
        at = at + room * (np.array([t.number * 0.618034 % 1 for t in trials]) * 2 - 1)
    longest = max((trial.epochs for trial in view.trials), default=0.0)
    lengths = [1.0 if t.state == "complete" else t.epochs / (longest or 1.0) for t in trials]
    colours = LENGTHS([0.5] * len(trials) if len(set(lengths)) == 1 else lengths)
    axes.scatter(
        at, values, s=30, c=colours, edgecolors="white", linewidths=0.5, zorder=3, clip_on=False
    )
    for i, trial in enumerate(trials):
        if trial.number == view.best:
            axes.scatter(
                at[i : i + 1], values[i : i + 1], s=110, facecolors="none", edgecolors=RED,
                linewidths=2, zorder=4, clip_on=False,
            )  # fmt: skip
    label_places(axes, parameter, width)
    axes.set_title(fitted(parameter.name, width, 12, bold=True), fontsize=12, weight="bold")


def _order(trial: TrialView) -> tuple[bool, float]:
    return trial.state == "complete", trial.epochs


def label_places(axes: Axes, parameter: Parameter, width: float) -> None:
    """Give axes the horizontal axis of a parameter; `width` is in inches.

    Categories whose names have no room beside each other are written upright; of very many, some
    are left out.
    """
    ticks, rotation = parameter.ticks(4), 0
    if parameter.choices and _is_upright(parameter, width):
        ticks = ticks[:: -(-len(ticks) // int(width / _LINE))]
        room = _MOST_BELOW - _BELOW
        ticks = [(at, fitted(text, room, SMALL, keep_end=True)) for at, text in ticks]
        rotation = 90
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks], rotation=rotation)
    axes.set_xlim(-0.05, 1.05)


def _is_upright(parameter: Parameter, width: float) -> bool:
    """Return whether the names of categories have no room beside each other."""
    ticks = parameter.ticks()
    return _longest(parameter) > width / len(ticks) - 0.08


def _room_below(parameter: Parameter, width: float) -> float:
    """Return the room that the texts below a panel need, in inches."""
    if not parameter.choices or not _is_upright(parameter, width):
        return _BELOW
    return min(_BELOW + _longest(parameter), _MOST_BELOW)


def _longest(parameter: Parameter) -> float:
    return max(text_width(text, SMALL) for _, text in parameter.ticks())
