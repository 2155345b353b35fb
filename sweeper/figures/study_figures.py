"""Optuna's figures of a study."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.importance import get_param_importances
from optuna.trial import TrialState

log = logging.getLogger(__name__)


def import_figures() -> None:
    """Import what `study_figures` imports when it draws, which takes seconds."""
    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: F401
    from optuna.importance import PedAnovaImportanceEvaluator  # noqa: F401
    from optuna.visualization import matplotlib as draw  # noqa: F401


def study_figures(study: optuna.Study, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Yield the name of each figure and the figure; close a figure before the next is drawn.

    Figures that Optuna cannot draw from the trials are skipped and logged. Importances, for
    example, need several trials.

    names: the names of the objectives.
    """
    matplotlib.use("Agg")
    # matplotlib would log a message for every list of numbers, Optuna one for every parameter that
    # few complete trials have in common.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    logging.getLogger("optuna.visualization").setLevel(logging.ERROR)
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as draw

    plots: dict[str, Callable[[], Any]] = {}
    if len(study.directions) > 1:
        plots["pareto_front"] = lambda: draw.plot_pareto_front(study, target_names=list(names))
    else:
        name = names[0]
        plots |= {
            "history": lambda: draw.plot_optimization_history(study, target_name=name),
            "importances": lambda: draw.plot_param_importances(study, target_name=name),
            "slice": lambda: draw.plot_slice(study, target_name=name),
            "parallel_coordinates": lambda: draw.plot_parallel_coordinate(study, target_name=name),
            "contour": lambda: _contour(study, name),
            "intermediate_values": lambda: draw.plot_intermediate_values(study),
        }
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return
    for figure_name, plot in plots.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns that its figures are experimental
            try:
                figure = _figure_of(plot())
            except (ValueError, RuntimeError, ImportError) as error:
                log.info("cannot draw the figure %s: %s", figure_name, error)
                continue
            if figure_name == "parallel_coordinates":  # its axes overlap at the default size
                figure.set_size_inches(14, 6)
            yield figure_name, figure
            pyplot.close(figure)


def _contour(study: optuna.Study, name: str) -> Any:
    """Draw the contour of the two most important parameters.

    Raises:
        ValueError: the study has fewer than two parameters.
    """
    from optuna.visualization import matplotlib as draw

    top = list(get_param_importances(study))[:2]
    if len(top) < 2:
        raise ValueError("a contour needs two parameters")
    return draw.plot_contour(study, params=top, target_name=name)


def _figure_of(axes: Any) -> Figure:
    """Return the figure of an axes object or of an array of them."""
    first = axes.flat[0] if isinstance(axes, np.ndarray) else axes
    figure: Figure = first.figure
    return figure
