"""Pictures and histograms of a network in training: inputs, feature maps, weights and gradients.

Watching does not change the results of a run. Feature maps are computed in evaluation mode on
images of the validation split, the random number generators are restored afterwards, and gradients
are copied from the regular training steps.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import Image

from sweeper import trial
from sweeper.files import reason_of, replacing
from sweeper.summary.feature_maps import FeatureMaps, feature_maps
from sweeper.summary.table import copy_to_device
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.gradients import Kind, LastGradients, as_array, parameters
from sweeper.training.seeding import preserved_rng_state
from sweeper.training.state import RunState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

IMAGES = 4
"""The number of images whose feature maps are drawn."""

NO_MAPS = (
    "tracking.watch.layers: these layers are not drawn, because the network does not call them or "
    "their output is not of shape (N, C, H, W), (N, T, D) or (N, K): %s"
)

GRADIENTS: dict[Kind, str] = {"weights": "gradients", "biases": "bias_gradients"}
"""The names of the histograms of gradients."""

DRAWINGS_PER_RUN = 10
"""The number of drawings of a run with `tracking.watch.every=auto`; TensorBoard shows ten."""


class Watch(Callback):
    """Callback that draws what `tracking.watch` selects, and passes it to the tracker.

    `folder` holds the latest version of each picture.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment = experiment
        self._settings = experiment.watch
        self._layers = list(experiment.watch.layers)
        self._failed = False
        self._folder = folder

    def on_fit_start(self, state: RunState) -> None:
        experiment, settings = self._experiment, self._settings
        self._every = settings.every if settings.every != "auto" else _auto_interval(state.epochs)
        # A run that was killed after its last checkpoint has not drawn its last epoch yet.
        self._last_drawn = state.epoch - state.epoch % self._every
        n_images = min(max(settings.images, IMAGES), experiment.data.sizes["val"])
        with preserved_rng_state():
            self._images, labels = experiment.data.samples("val", range(n_images))
            if settings.graph:
                model = copy_to_device(experiment.model, "cpu").eval()
                experiment.tracker.log_graph(model, self._images[:1].cpu())
        profile = experiment.data.profile
        self._pictures = [] if profile.why_not_drawn else experiment.data.to_pictures(self._images)
        self._labels = [profile.label_text(label) for label in labels.cpu()]
        if settings.images and profile.why_not_drawn:
            log.info("tracking.watch.images: %s", profile.why_not_drawn)
        elif settings.images:
            self._draw_inputs(settings.images)
        if settings.histograms:
            optimizer = experiment.updates.optimizer
            self._gradients = LastGradients(experiment.model, optimizer, state)

    def on_epoch_end(self, state: RunState) -> None:
        if state.epoch % self._every == 0:
            self._draw(state.epoch)

    def on_fit_end(self, state: RunState) -> None:
        if not state.interrupted and state.epoch > self._last_drawn:
            self._draw(state.epoch)
        if self._settings.histograms:
            self._gradients.remove()

    def _draw(self, epoch: int) -> None:
        experiment = self._experiment
        self._last_drawn = epoch
        model = experiment.classifier.model
        with preserved_rng_state(), experiment.autocast():
            maps_by_layer = feature_maps(model, self._images[:IMAGES], self._layers)
        if missing := [name for name in self._layers if name not in maps_by_layer]:
            self._layers = list(maps_by_layer)
            log.warning(NO_MAPS, ", ".join(missing))
        for name, maps in maps_by_layer.items():
            self._draw_maps(name, maps, epoch)
        if self._settings.histograms:
            self._draw_histograms(epoch)

    def _draw_histograms(self, epoch: int) -> None:
        log = self._experiment.tracker.log_histograms
        # No gradients are there if a resumed run had finished its last epoch already.
        gradients = {GRADIENTS[kind]: v for kind, v in self._gradients.values.items()}
        for name, values in (parameters(self._experiment.model) | gradients).items():
            if values:  # a network may have no biases
                log(name, values, epoch)

    def _draw_inputs(self, count: int) -> None:
        from sweeper.figures.grid_of_images import image_grid  # imports matplotlib

        figure = image_grid(
            self._pictures[:count],
            self._labels[:count],
            heading="First images of the validation split",
            about=self._experiment.data.profile.name,
        )
        self._log(self._folder / "inputs.png", figure, "watch", 0)

    def _draw_maps(self, name: str, maps: FeatureMaps, epoch: int) -> None:
        from sweeper.figures import feature_sheets  # imports matplotlib

        before, after = as_array(maps.before), maps.after
        sheet = feature_sheets.feature_maps(
            self._pictures[:IMAGES],
            self._labels[:IMAGES],
            before,
            None if after is None else as_array(after),
            maps.activation,
            heading=f"{name} after epoch {epoch}, validation split",
        )
        self._log(self._folder / "layers" / f"{name}.png", sheet, "watch/layers", epoch)

    def _log(self, path: Path, picture: "Figure | Image", folder: str, step: int) -> None:
        """Write a picture and track it; on a full disk the run goes on without it."""
        save = picture.save if isinstance(picture, Image) else picture.savefig
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:  # a tracker may still hold a link to the earlier one
                save(partial, format="png")
        except OSError as error:
            if not self._failed:
                log.warning("%s cannot be written (%s)", path, reason_of(error))
            self._failed = True
            return
        self._failed = False
        self._experiment.tracker.log_artifact(path, folder, step)


def _auto_interval(epochs: int) -> int:
    """Return the number of epochs between two drawings; a trial is drawn once, at its end."""
    drawings = DRAWINGS_PER_RUN if trial.info() is None else 1
    return -(-epochs // drawings)
