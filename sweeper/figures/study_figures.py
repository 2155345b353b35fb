"""Optuna's figures of a study, as far as its trials allow each of them."""

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


def study_figures(study: optuna.Study, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Yield the name and the drawing of each figure; `names` are those of the objectives.

    What Optuna cannot draw of these trials (importances of a single trial, say) is left out,
    with a line in the log.
    """
    matplotlib.use("Agg")
    # It says of every list of numbers that it is one.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as draw

    plots: dict[str, Callable[[], Any]] = {"timeline": lambda: draw.plot_timeline(study)}
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
    for title, plot in plots.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls its matplotlib figures experimental
            try:
                figure = _figure_of(plot())
            except (ValueError, RuntimeError, ImportError) as error:
                log.info("figure %s is left out: %s", title, error)
                continue
            if title == "parallel_coordinates":  # or the scales run into each other
                figure.set_size_inches(14, 6)
            yield title, figure
            pyplot.close(figure)


def _contour(study: optuna.Study, name: str) -> Any:
    """Draw the two parameters that matter most against each other."""
    from optuna.visualization import matplotlib as draw

    top = list(get_param_importances(study))[:2]
    if len(top) < 2:
        raise ValueError("a contour needs two parameters")
    return draw.plot_contour(study, params=top, target_name=name)


def _figure_of(axes: Any) -> Figure:
    """Return the figure of one axes or of an array of them."""
    one = axes.flat[0] if isinstance(axes, np.ndarray) else axes
    figure: Figure = one.figure
    return figure
