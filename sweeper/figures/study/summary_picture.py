"""One picture that tells a study: the best trial, how it was found, what mattered, what is next."""

from collections.abc import Sequence
from typing import Any

from sweeper.figures.lettering import fitted, text_width, wrapped
from sweeper.figures.study.history import draw_history
from sweeper.figures.study.pareto import axis_of, draw_front
from sweeper.figures.study.shares import draw_importances, shares
from sweeper.figures.study.ticks import number_text
from sweeper.figures.study.values import note_of
from sweeper.figures.study.view import StudyView, value_text
from sweeper.figures.style import (
    BLUE,
    MARGIN,
    SMALL,
    SOFT,
    TEXT,
    StyledFigure,
    joined,
    new_figure,
    panel,
    styled,
)
from sweeper.text import plural

WIDTH, HEIGHT = 12.5, 6.15  # inches below the title; with it, the shape of a slide
_LEFT = 7.2  # width in inches of the left half
_LINE = 0.245  # height in inches of a line of text
_HEAD_SIZE, _BIG_SIZE = 13.0, 30.0  # points
_MOST_BARS = 7
_NEXT = 2.75  # height in inches at which the lower half begins


@styled()
def overview(view: StudyView) -> StyledFigure:
    """Draw the page of a study."""
    title = f"Study {view.name}" + (f": {view.about}" if view.about else "")
    asked = "" if view.n_trials is None else f"{view.n_trials} asked for"
    beyond = note_of([axis_of(view, objective) for objective in range(len(view.metrics))][:2])
    about = joined(view.counts_text, asked, beyond)
    figure = new_figure(WIDTH, HEIGHT, title, about, layout=None)
    width, height = figure.get_size_inches()
    top = height - figure.header
    _found(figure, view, MARGIN, top - 0.15)
    right = _LEFT + 0.2
    _best(figure, view, right, top - 0.05, width - right - MARGIN)
    _mattered(figure, view, MARGIN, _NEXT)
    _next(figure, view, right, _NEXT, width - right - MARGIN)
    return figure


def _found(figure: StyledFigure, view: StudyView, left: float, top: float) -> None:
    """Draw the history; for several objectives the front of the first two."""
    is_single = len(view.metrics) == 1
    head = "How it was found" if is_single else "The Pareto front"
    _write(figure, left, top, head, size=_HEAD_SIZE, weight="bold")
    if not view.valued:
        _write(figure, left, top - 0.4, "No trial has a value.", color=SOFT)
        return
    axis = axis_of(view, 0 if is_single else 1)
    bottom = 3.35
    room = top - 0.45 - bottom
    axes = panel(figure, left + axis.width, bottom, _LEFT - left - axis.width - 0.15, room)
    if is_single:
        draw_history(axes, view, axis)
        axes.set_xlabel("trial", labelpad=1)
    else:
        draw_front(axes, view, 0, 1)
        axis_of(view, 0).apply(axes, _LEFT - 1.5, horizontal=True)
    axis.apply(axes, length=room + 0.3)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=5, borderaxespad=0.1, fontsize=SMALL - 1,
        handletextpad=0.3, columnspacing=1.0,
    )  # fmt: skip


def _best(figure: StyledFigure, view: StudyView, left: float, top: float, width: float) -> None:
    """Write the best value, and the parameters of its trial."""
    best = view.best_trial
    if best is None:
        _members(figure, view, left, top - 0.1, width)
        return
    if len(best.values) > 1:
        _write(figure, left, top - 0.1, f"Trial {best.number}", size=20, weight="bold", color=BLUE)
        rows = [
            (name, number_text(v, 4)) for name, v in zip(view.metrics, best.values, strict=True)
        ]
        y = _write_rows(figure, rows, left, top - 0.52, width, color=BLUE) - 0.1
    else:
        y = _write_value(figure, view, left, top, width)
    for line in (line for remark in view.remarks for line in wrapped(remark, width, SMALL)):
        _write(figure, left, y, line, size=SMALL, color=SOFT)
        y -= _LINE
    y -= 0.08
    ranked = [p.name for p in view.parameters if p.name in best.params]
    ranked += [name for name in best.params if name not in ranked]
    _write_most_rows(
        figure, [(name, value_text(best.params[name])) for name in ranked], left, y, width
    )


def _members(figure: StyledFigure, view: StudyView, left: float, top: float, width: float) -> None:
    """Write the members of a front of which none is chosen, with their values."""
    n = len(view.front)
    text = f"{plural(n, 'trial')} on the front; none is chosen" if n else "No trial is complete"
    _write(figure, left, top, text, size=_HEAD_SIZE, weight="bold")
    if not n:
        return
    names = fitted(", ".join(view.metrics), width, SMALL)
    _write(figure, left + width, top - 0.36, names, ha="right", size=SMALL, color=SOFT)
    members = (trial for trial in view.trials if trial.number in view.front)
    rows = [
        (f"trial {trial.number}", ", ".join(number_text(value, 4) for value in trial.values))
        for trial in members
    ]
    _write_most_rows(figure, rows, left, top - 0.62, width)


def _write_value(
    figure: StyledFigure, view: StudyView, left: float, top: float, width: float
) -> float:
    """Write the best value; return the height below it."""
    size = _BIG_SIZE if text_width(view.best_text, _BIG_SIZE, bold=True) < width else 20.0
    shown = fitted(view.best_text, width, size, bold=True)
    _write(figure, left, top, shown, size=size, weight="bold", color=BLUE)
    y = top - size / 72 - 0.22
    text = f"{view.metrics[0]} of trial {view.best}"
    _write(figure, left, y, fitted(text, width, 12), color=SOFT)
    return y - _LINE


def _write_most_rows(
    figure: StyledFigure, rows: Sequence[tuple[str, str]], left: float, y: float, width: float
) -> None:
    """Write the rows for which there is room above the lower half."""
    room = max(int((y - _NEXT - 0.1) / _LINE), 1)
    most = room if len(rows) <= room else room - 1
    y = _write_rows(figure, rows[:most], left, y, width)
    if len(rows) > most:
        _write(figure, left, y, f"and {plural(len(rows) - most, 'other')}", color=SOFT)


def _write_rows(
    figure: StyledFigure,
    rows: Sequence[tuple[str, str]],
    left: float,
    y: float,
    width: float,
    color: str = TEXT,
) -> float:
    """Write names on the left and values on the right; return the height below them."""
    for name, text in rows:
        value = fitted(text, 0.5 * width, 12, bold=True)
        key = fitted(name, width - text_width(value, 12, bold=True) - 0.25, 12)
        _write(figure, left, y, key)
        _write(figure, left + width, y, value, ha="right", weight="bold", color=color)
        y -= _LINE
    return y


def _mattered(figure: StyledFigure, view: StudyView, left: float, top: float) -> None:
    """Draw the importances."""
    _write(figure, left, top, "What mattered", size=_HEAD_SIZE, weight="bold")
    room = _LEFT - left - 0.4
    if not view.importances:
        for i, line in enumerate(wrapped(view.basis, room, SMALL, 3)):
            _write(figure, left, top - 0.4 - _LINE * i, line, color=SOFT, size=SMALL)
        return
    lines = wrapped(view.basis, room, SMALL - 1, 2)
    for i, line in enumerate(lines):
        _write(figure, left, top - 0.28 - 0.19 * i, line, color=SOFT, size=SMALL - 1)
    bars = shares(view.importances, _MOST_BARS)
    names = [fitted(name, 2.6, SMALL) for name in bars]
    at = left + max(text_width(name, SMALL) for name in names) + 0.1
    height = top - 0.42 - 0.19 * len(lines) - 0.15
    used = min(height, 0.32 * len(bars))
    axes = panel(figure, at, 0.15 + height - used, _LEFT - at - 0.15, used)
    draw_importances(axes, bars, names)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _next(figure: StyledFigure, view: StudyView, left: float, top: float, width: float) -> None:
    """Write the advice."""
    _write(figure, left, top, "What to try next", size=_HEAD_SIZE, weight="bold")
    y = top - 0.36
    for sentence in view.advice:
        lines = wrapped(sentence, width - 0.2, 12, 4)
        if y - _LINE * len(lines) < 0.0:
            break
        _write(figure, left, y, "•", color=BLUE, weight="bold")
        for line in lines:
            _write(figure, left + 0.2, y, line, color=TEXT)
            y -= _LINE
        y -= 0.1


def _write(
    figure: StyledFigure, x: float, y: float, text: str, size: float = 12, **options: Any
) -> None:
    """Write a line below and to the right of a place in inches."""
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, va="top", size=size, **options)
