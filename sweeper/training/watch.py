"""Looking into the network while it trains: its inputs, feature maps, weights and gradients.

Looking changes nothing. It runs in evaluation mode on images of the validation split, leaves the
random number generators where they were, and copies gradients at a step that is taken anyway.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PIL.Image import Image

from sweeper import trial
from sweeper.files import replacing
from sweeper.summary.feature_maps import FeatureMaps, feature_maps
from sweeper.summary.table import copied
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.gradients import LastGradients, as_array, weights
from sweeper.training.seeding import unmoved_rng
from sweeper.training.state import RunState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

IMAGES = 4
"""Images whose feature maps are drawn."""

NO_MAPS = (
    "tracking.watch.layers: not drawn, since not reached or of another layout than "
    "(N, C, H, W), (N, T, D) or (N, K): %s"
)

DRAWINGS = 10
"""Times that a run is looked into when it is not said how often: what TensorBoard shows of one."""


class Watch(Callback):
    """Draws what `tracking.watch` asks for, and hands it to the tracker.

    The pictures lie in `folder`, the latest of each.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment = experiment
        self._settings = experiment.watch
        self._layers = list(experiment.watch.layers)
        self._folder = folder

    def on_fit_start(self, state: RunState) -> None:
        experiment, settings = self._experiment, self._settings
        self._every = settings.every if settings.every != "auto" else _every(state.epochs)
        # An end may not have been: a run can be killed between its last checkpoint and its end.
        self._drawn = state.epoch - state.epoch % self._every
        wanted = min(max(settings.images, IMAGES), experiment.data.sizes["val"])
        with unmoved_rng():
            self._images, labels = experiment.data.samples("val", range(wanted))
            if settings.graph:
                model = copied(experiment.model, "cpu").eval()
                experiment.tracker.log_graph(model, self._images[:1].cpu())
        self._pictures = experiment.data.inverse(self._images)
        self._labels = [experiment.data.profile.named(one) for one in labels.cpu()]
        if settings.images:
            self._draw_inputs(settings.images)
        if settings.histograms:
            optimizer = experiment.updates.optimizer
            self._gradients = LastGradients(experiment.model, optimizer, state)

    def on_epoch_end(self, state: RunState) -> None:
        if state.epoch % self._every == 0:
            self._draw(state.epoch)

    def on_fit_end(self, state: RunState) -> None:
        if not state.interrupted and state.epoch > self._drawn:
            self._draw(state.epoch)
        if self._settings.histograms:
            self._gradients.remove()

    def _draw(self, epoch: int) -> None:
        experiment = self._experiment
        self._drawn = epoch
        with unmoved_rng(), experiment.autocast():
            found = feature_maps(experiment.evaluated.model, self._images[:IMAGES], self._layers)
        if missing := [name for name in self._layers if name not in found]:
            self._layers = list(found)
            log.warning(NO_MAPS, ", ".join(missing))
        for name, maps in found.items():
            self._draw_maps(name, maps, epoch)
        if self._settings.histograms:
            experiment.tracker.log_histograms("weights", weights(experiment.model), epoch)
            if self._gradients.values:  # none where a resumed run has nothing left to train
                experiment.tracker.log_histograms("gradients", self._gradients.values, epoch)

    def _draw_inputs(self, count: int) -> None:
        from sweeper.figures.grid_of_images import image_grid  # brings in matplotlib

        figure = image_grid(self._pictures[:count], self._labels[:count])
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
            heading=f"{name}, epoch {epoch}",
        )
        self._log(self._folder / "layers" / f"{name}.png", sheet, "watch/layers", epoch)

    def _log(self, path: Path, picture: "Figure | Image", folder: str, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save = picture.save if isinstance(picture, Image) else picture.savefig
        with replacing(path) as partial:  # a tracker may still hold a link to the one before
            save(partial, format="png")
        self._experiment.tracker.log_artifact(path, folder, step)


def _every(epochs: int) -> int:
    """Return after how many epochs to look again; a trial, of which there are many, once."""
    times = DRAWINGS if trial.info() is None else 1
    return -(-epochs // times)
