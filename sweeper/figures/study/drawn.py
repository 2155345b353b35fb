"""All figures of a study."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sweeper.figures.study.history import history
from sweeper.figures.study.parallel import parallel_coordinates
from sweeper.figures.study.pareto import pareto_front
from sweeper.figures.study.shares import importances
from sweeper.figures.study.slices import slices
from sweeper.figures.study.summary_picture import overview
from sweeper.figures.study.timeline import Bar, timeline
from sweeper.figures.study.trial_curves import has_curves, learning_curves
from sweeper.figures.study.view import StudyView
from sweeper.figures.style import StyledFigure

SUMMARY = "study"
"""The name of the one figure that shows what is known of the best trial beyond the study."""


def study_figures(view: StudyView, bars: Sequence[Bar]) -> Mapping[str, Callable[[], StyledFigure]]:
    """Return the functions that make the figures, by the names of the figures.

    Those are left out for which the study has no data, such as learning curves of trials that
    report once.
    """
    figures: dict[str, Callable[[], StyledFigure]] = {SUMMARY: partial(overview, view)}
    is_single = len(view.metrics) == 1
    if view.valued:
        if is_single:
            figures["history"] = partial(history, view)
        else:
            figures["pareto_front"] = partial(pareto_front, view)
    if is_single and has_curves(view):
        figures["learning_curves"] = partial(learning_curves, view)
    if view.importances:
        figures["importances"] = partial(importances, view)
    if view.valued and view.parameters:
        if is_single:
            figures["slice"] = partial(slices, view)
        figures["parallel_coordinates"] = partial(parallel_coordinates, view)
    if bars:
        figures["timeline"] = partial(timeline, bars, view.heading(view.counts_text))
    return figures
