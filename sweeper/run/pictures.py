"""The figures of a run, drawn of its history and its predictions.

matplotlib takes half a second to import, so each figure's module is imported where it draws.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import Image

from sweeper.data.profile import Profile
from sweeper.metrics.class_sets import average_precision
from sweeper.objectives import MEASURES
from sweeper.training.experiment import Experiment
from sweeper.training.scoring import Predictions
from sweeper.training.state import RunState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = 24
"""Images in a grid."""

Drawn = dict[str, "Figure"]
"""Figures by the name of their file."""


def draw_figures(
    experiment: Experiment, state: RunState, val: Predictions, final: Predictions, folder: Path
) -> list[Path]:
    """Draw learning curves, the outcome by class, a training batch and the worst mistakes as PNG.

    `val` are the best network's predictions on the validation split, whose mistakes are shown;
    `final` are those that the outcome is of.
    """
    data, profile = experiment.data, experiment.data.profile

    def pictures(indices: Sequence[int]) -> list[Image]:
        return data.inverse(data.samples("val", indices)[0].cpu())

    drawn = _training(experiment, state)
    drawn |= outcome(final, profile) | mistakes(val, profile, pictures)
    return saved(drawn, folder)


def _training(experiment: Experiment, state: RunState) -> Drawn:
    """Return the learning curves and a batch of what was learned from."""
    from sweeper.figures.curves import learning_curves
    from sweeper.figures.grid_of_images import image_grid

    data, measures = experiment.data, MEASURES[experiment.data.profile.label_type]
    images, labels = next(data.train(1))
    titles = [data.profile.named(one) for one in labels[:PICTURES].cpu()]
    return {
        "learning_curves": learning_curves(state.history, state.best_epoch or 1, measures),
        "training_batch": image_grid(data.inverse(images[:PICTURES].cpu()), titles),
    }


def outcome(predictions: Predictions, profile: Profile) -> Drawn:
    """Return what shows how well each class was found."""
    from sweeper.figures.confusion import confusion_matrix

    if profile.label_type == "multilabel":
        return {"average_precision": _rankings(predictions, profile.classes)}
    if profile.label_type == "sequence":
        return {"accuracy_by_length": _by_length(predictions)}
    matrix = predictions.confusion().numpy()
    return {"confusion_matrix": confusion_matrix(matrix, profile.classes)}


def _rankings(predictions: Predictions, classes: Sequence[str]) -> "Figure":
    from sweeper.figures.rankings import average_precisions

    labels = predictions.labels
    precisions = average_precision(predictions.scores, labels).numpy()
    return average_precisions(precisions, labels.sum(dim=0).numpy(), len(labels), classes)


def _by_length(predictions: Predictions) -> "Figure":
    from sweeper.figures.strings import accuracy_by_length

    lengths = (predictions.labels >= 0).sum(dim=1)
    return accuracy_by_length(lengths.numpy(), ~predictions.wrong.numpy())


def mistakes(
    predictions: Predictions,
    profile: Profile,
    pictures: Callable[[Sequence[int]], Sequence[Image]],
) -> Drawn:
    """Return the worst mistakes; `pictures` gives the images of positions in the split."""
    from sweeper.figures.grid_of_images import image_grid

    worst = predictions.worst_mistakes(PICTURES).tolist()
    if not worst:
        return {}
    titles = [profile.mistake(predictions.labels[i], predictions.predicted[i]) for i in worst]
    return {"worst_mistakes": image_grid(pictures(worst), titles)}


def saved(drawn: Mapping[str, "Figure"], folder: Path) -> list[Path]:
    """Write each figure as PNG into the folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=120)
    return [folder / f"{name}.png" for name in drawn]
