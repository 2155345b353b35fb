"""All figures of a study."""

from collections.abc import Iterator, Sequence

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


def study_figures(view: StudyView, bars: Sequence[Bar]) -> Iterator[tuple[str, StyledFigure]]:
    """Yield the name of each figure and the figure, made when it is asked for.

    Those are left out for which the study has no data, such as learning curves of trials that
    report once.
    """
    yield "study", overview(view)
    is_single = len(view.metrics) == 1
    if view.valued:
        if is_single:
            yield "history", history(view)
        else:
            yield "pareto_front", pareto_front(view)
    if is_single and has_curves(view):
        yield "learning_curves", learning_curves(view)
    if view.importances:
        yield "importances", importances(view)
    if view.valued and view.parameters:
        if is_single:
            yield "slice", slices(view)
        yield "parallel_coordinates", parallel_coordinates(view)
    if bars:
        yield "timeline", timeline(bars, view.heading(view.counts_text))
