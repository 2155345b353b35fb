"""Records runs in event files, which TensorBoard shows: a folder a run, and no server to reach.

    <run's folder>/tensorboard/events.out.tfevents.*

`tensorboard --logdir` of a run's folder shows that run; of a study's folder, every trial.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.errors import ConfigError
from sweeper.tracking.tracker import RunInfo, Status

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = "tensorboard"
DOCUMENTS = {".txt", ".yaml"}
BINS = 64


class TensorBoardTracker:
    """Records one run at a time; what a run that goes on had recorded goes along.

    Raises ConfigError where the package `tensorboard` is not installed.
    """

    uri: str | None = None
    run_id: str | None = None

    def __init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "TensorBoard is not installed: type python -m pip install tensorboard, or with "
                "uv: python -m uv run --extra tensorboard python -m sweeper ..."
            )
        self._step = 0
        self._written: set[tuple[str, int]] = set()

    def start(self, info: RunInfo) -> None:
        """Begin a run, or take over the event files of the one that it goes on from."""
        # These import TensorBoard.
        from sweeper.tracking.events import event_files, event_writer, events_of

        folder, resumed = info.folder / FOLDER, info.resumed
        replaced = event_files(folder)
        kept = list(events_of(resumed.folder / FOLDER, resumed.history)) if resumed else []
        self._writer = event_writer(folder)
        for event in kept:
            new = {(value.tag, event.step) for value in event.summary.value} - self._written
            if new:  # a resume that was killed right here had copied some already
                self._written |= new
                self._writer.file_writer.add_event(event, event.step, event.wall_time)
        for epoch, metrics in enumerate(resumed.history if resumed else (), start=1):
            self.log_metrics(metrics, epoch)
        self._log_params(info)
        for path in replaced:
            path.unlink()

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record values that belong to one step; the first of a name and step stays."""
        new = {name: value for name, value in metrics.items() if self._is_new(name, step)}
        for name, value in new.items():
            self._step = step
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a picture as an image, a document as text; leave other files."""
        step = self._step if step is None else step
        tag = f"{folder}/{path.stem}" if folder else path.stem
        if path.suffix == ".png" and self._is_new(tag, step):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(tag, pixels, step, dataformats="HWC")
        elif path.suffix in DOCUMENTS:
            lines = path.read_text(encoding="utf-8").splitlines()
            self._writer.add_text(tag, "\n".join(f"    {line}" for line in lines))
        self._writer.flush()

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record the distribution of the finite values of each layer."""
        for layer, array in values.items():
            finite = array[np.isfinite(array)]
            if finite.size and self._is_new(f"{name}/{layer}", step):
                self._writer.add_histogram(f"{name}/{layer}", finite, step, bins=BINS)
        self._writer.flush()

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Record the graph of operations, where the network can be traced."""
        from sweeper.tracking.events import write_graph

        write_graph(self._writer, model, images)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags as text."""
        for name, value in tags.items():
            self._writer.add_text(f"tags/{name}", value)

    def finish(self, status: Status, reason: str = "") -> None:
        """End the run; `reason` says why it ended as it did."""
        self._writer.add_text("status", f"{status}: {reason}" if reason else status)
        self._writer.close()

    def _is_new(self, tag: str, step: int) -> bool:
        new = (tag, step) not in self._written
        self._written.add((tag, step))
        return new

    def _log_params(self, info: RunInfo) -> None:
        """Record the params as text, and for the page that compares runs by them."""
        # `add_hparams` would make a run of its own, below this one, for the same.
        from torch.utils.tensorboard.summary import hparams

        rows = [f"| {name} | {value} |" for name, value in info.params.items()]
        self._writer.add_text("params", "\n".join(["| param | value |", "|---|---|", *rows]))
        values = {name: _number_or_text(value) for name, value in info.params.items()}
        _, start, _ = hparams(values, {})  # type: ignore[no-untyped-call]
        self._writer.file_writer.add_summary(start)
        self._writer.flush()


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
