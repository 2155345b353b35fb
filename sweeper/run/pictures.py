"""The figures of a run, drawn from its history and its predictions.

matplotlib takes half a second to import, so the modules of figures are imported in the functions.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

log = logging.getLogger(__name__)

PICTURES = 24
"""The largest number of images in a grid."""

Figures = dict[str, "Figure"]
"""Figures by the name of their file, without its suffix."""

OF_RESULTS = ("confusion_matrix", "average_precision", "accuracy_by_length", "worst_mistakes")
"""The figures of which some results have none."""

SPLITS = {"train": "training split", "val": "validation split", "test": "test split"}


@dataclass(frozen=True)
class Subject:
    """What the figures of a run are about; each of them says it.

    Args:
        network: The name of the network.
        data: The name of the data.
        epoch: The epoch of the network.
        choice: By which metric it is the best epoch; empty if that is not known.
    """

    network: str
    data: str
    epoch: int
    choice: str = ""

    @property
    def about(self) -> str:
        """Network, data and epoch in words."""
        best = f" (the best by {self.choice})" if self.choice else ""
        return f"{self.network} on {self.data} · network of epoch {self.epoch}{best}"


def draw_figures(
    experiment: Experiment,
    network: str,
    state: RunState,
    val: Predictions,
    test: Predictions | None,
    folder: Path,
) -> list[Path]:
    """Draw all figures of a run into the folder as PNG files; return the paths of the files.

    The figures are the learning curves, a training batch, the results by class on the test split
    (on the validation split if there is no other), and the worst mistakes on the validation split.
    Images with other than 1 or 3 channels are not drawn.

    network: the name of the network.
    val, test: the best network's predictions; `test` is None for data without a test split.
    """
    data, profile = experiment.data, experiment.data.profile

    def pictures(indices: Sequence[int]) -> list[Image]:
        return data.to_pictures(data.samples("val", indices)[0].cpu())

    subject = Subject(network, profile.name, state.best_epoch or 1, state.metric)
    figures = _training_figures(experiment, subject, state)
    final, split = (val, "val") if test is None else (test, "test")
    figures |= result_figures(final, profile, SPLITS[split], subject)
    if profile.why_not_drawn:
        log.info("%s", profile.why_not_drawn)
    else:
        figures |= mistake_figures(val, profile, SPLITS["val"], subject, pictures)
    return save_figures(figures, folder)


def _training_figures(experiment: Experiment, subject: Subject, state: RunState) -> Figures:
    """Return the learning curves and, if they can be drawn, images from a training batch."""
    from sweeper.figures.curves import learning_curves
    from sweeper.figures.grid_of_images import image_grid

    data, measures = experiment.data, tuple(MEASURES[experiment.data.profile.label_type])
    about = f"{subject.network} on {subject.data} · the best epoch is that of {state.metric}"
    figures: Figures = {
        "learning_curves": learning_curves(state.history, state.best_epoch or 1, measures, about)
    }
    if data.profile.why_not_drawn:
        return figures
    images, labels = next(data.train(1))
    titles = [data.profile.label_text(label) for label in labels[:PICTURES].cpu()]
    pictures = data.to_pictures(images[:PICTURES].cpu())
    shown = f"{len(titles)} of {len(labels)} images of epoch 1, transformed anew as in training"
    figures["training_batch"] = image_grid(
        pictures,
        titles,
        heading="First batch of the training split",
        about=f"{subject.data} · {shown}",
    )
    return figures


def result_figures(
    predictions: Predictions, profile: Profile, images: str, subject: Subject
) -> Figures:
    """Return the figure that shows the results by class, or by length for strings.

    images: the name of the images, such as `test split`.
    """
    from sweeper.figures.confusion import confusion_matrix

    about = subject.about
    if profile.label_type == "multilabel":
        title = f"Average precision by class: {images}"
        return {
            "average_precision": _average_precisions(predictions, profile.classes, title, about)
        }
    if profile.label_type == "sequence":
        title = f"Correct strings by length: {images}"
        return {"accuracy_by_length": _accuracy_by_length(predictions, title, about)}
    matrix, title = predictions.confusion().numpy(), f"Confusion matrix: {images}"
    return {"confusion_matrix": confusion_matrix(matrix, profile.classes, title, about)}


def _average_precisions(
    predictions: Predictions, classes: Sequence[str], title: str, about: str
) -> "Figure":
    from sweeper.figures.rankings import average_precisions

    labels = predictions.labels
    precisions = average_precision(predictions.scores, labels).numpy()
    counts, n = labels.sum(dim=0).numpy(), len(labels)
    return average_precisions(precisions, counts, n, classes, title, about)


def _accuracy_by_length(predictions: Predictions, title: str, about: str) -> "Figure":
    from sweeper.figures.strings import accuracy_by_length

    lengths = (predictions.labels >= 0).sum(dim=1)
    return accuracy_by_length(lengths.numpy(), ~predictions.wrong.numpy(), title, about)


def mistake_figures(
    predictions: Predictions,
    profile: Profile,
    images: str,
    subject: Subject,
    pictures: Callable[[Sequence[int]], Sequence[Image]],
) -> Figures:
    """Return a grid of the worst mistakes, or no figure without mistakes.

    images: the name of the images, such as `validation split`.
    pictures: returns the images for indices in the split.
    """
    from sweeper.figures.grid_of_images import image_grid

    worst = predictions.worst_mistakes(PICTURES).tolist()
    if not worst:
        return {}
    titles = [profile.mistake_text(predictions.labels[i], predictions.predicted[i]) for i in worst]
    n_wrong, n = int(predictions.wrong.sum()), len(predictions.labels)
    shown = "the most confident first" if n_wrong == len(worst) else f"the worst {len(worst)} shown"
    about = f"{subject.about} · {n_wrong:,} of {n:,} images are wrong, {shown}"
    grid = image_grid(pictures(worst), titles, heading=f"Worst mistakes: {images}", about=about)
    return {"worst_mistakes": grid}


def save_figures(figures: Mapping[str, "Figure"], folder: Path) -> list[Path]:
    """Write each figure into the folder as a PNG file; return the paths of the files.

    Figures of earlier results that these ones do not have are removed.
    """
    from sweeper.figures.drawing import drawn, png

    folder.mkdir(parents=True, exist_ok=True)
    for name in set(OF_RESULTS) - figures.keys():
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as partial:
            partial.write_bytes(png(drawn(figure)))
    return [folder / f"{name}.png" for name in figures]
