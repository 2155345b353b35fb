"""The figures of a run, drawn from its history and its predictions.

matplotlib takes half a second to import, so the modules of figures are imported in the functions.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import Image

from sweeper.data.profile import Profile
from sweeper.files import replacing
from sweeper.metrics.class_sets import average_precision
from sweeper.objectives import MEASURES
from sweeper.training.experiment import Experiment
from sweeper.training.scoring import Predictions
from sweeper.training.state import RunState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = 24
"""The largest number of images in a grid."""

Figures = dict[str, "Figure"]
"""Figures by the name of their file, without its suffix."""


def draw_figures(
    experiment: Experiment, state: RunState, val: Predictions, final: Predictions, folder: Path
) -> list[Path]:
    """Draw all figures of a run into the folder as PNG files; return the paths of the files.

    The figures are the learning curves, a training batch, the results by class from `final`, and
    the worst mistakes in `val`, the best network's predictions on the validation split.
    """
    data, profile = experiment.data, experiment.data.profile

    def pictures(indices: Sequence[int]) -> list[Image]:
        return data.to_pictures(data.samples("val", indices)[0].cpu())

    figures = _training_figures(experiment, state)
    figures |= result_figures(final, profile) | mistake_figures(val, profile, pictures)
    return save_figures(figures, folder)


def _training_figures(experiment: Experiment, state: RunState) -> Figures:
    """Return the learning curves and a grid of images from a training batch."""
    from sweeper.figures.curves import learning_curves
    from sweeper.figures.grid_of_images import image_grid

    data, measures = experiment.data, MEASURES[experiment.data.profile.label_type]
    images, labels = next(data.train(1))
    titles = [data.profile.label_text(label) for label in labels[:PICTURES].cpu()]
    return {
        "learning_curves": learning_curves(state.history, state.best_epoch or 1, measures),
        "training_batch": image_grid(data.to_pictures(images[:PICTURES].cpu()), titles),
    }


def result_figures(predictions: Predictions, profile: Profile) -> Figures:
    """Return the figure that shows the results by class, or by length for strings."""
    from sweeper.figures.confusion import confusion_matrix

    if profile.label_type == "multilabel":
        return {"average_precision": _average_precisions(predictions, profile.classes)}
    if profile.label_type == "sequence":
        return {"accuracy_by_length": _accuracy_by_length(predictions)}
    matrix = predictions.confusion().numpy()
    return {"confusion_matrix": confusion_matrix(matrix, profile.classes)}


def _average_precisions(predictions: Predictions, classes: Sequence[str]) -> "Figure":
    from sweeper.figures.rankings import average_precisions

    labels = predictions.labels
    precisions = average_precision(predictions.scores, labels).numpy()
    return average_precisions(precisions, labels.sum(dim=0).numpy(), len(labels), classes)


def _accuracy_by_length(predictions: Predictions) -> "Figure":
    from sweeper.figures.strings import accuracy_by_length

    lengths = (predictions.labels >= 0).sum(dim=1)
    return accuracy_by_length(lengths.numpy(), ~predictions.wrong.numpy())


def mistake_figures(
    predictions: Predictions,
    profile: Profile,
    pictures: Callable[[Sequence[int]], Sequence[Image]],
) -> Figures:
    """Return a grid of the worst mistakes, or no figure without mistakes.

    `pictures` returns the images for indices in the split.
    """
    from sweeper.figures.grid_of_images import image_grid

    worst = predictions.worst_mistakes(PICTURES).tolist()
    if not worst:
        return {}
    titles = [profile.mistake_text(predictions.labels[i], predictions.predicted[i]) for i in worst]
    return {"worst_mistakes": image_grid(pictures(worst), titles)}


def save_figures(figures: Mapping[str, "Figure"], folder: Path) -> list[Path]:
    """Write each figure into the folder as a PNG file; return the paths of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as partial:
            figure.savefig(partial, format="png", dpi=120)
    return [folder / f"{name}.png" for name in figures]
