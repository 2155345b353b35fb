"""A tracker that records runs in TensorBoard's event files; it needs no server.

    <folder of the run>/tensorboard/events.out.tfevents.*

`tensorboard --logdir FOLDER` shows one run for the folder of a run, and all trials for the folder
of a study.
"""

import importlib.util
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.errors import ConfigError
from sweeper.files import reason_of
from sweeper.tracking.tracker import NullTracker, RunInfo, Status

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

FOLDER = "tensorboard"
DOCUMENTS = {".txt", ".yaml"}  # artifacts that are recorded as text
BINS = 64


P = ParamSpec("P")


def _spares_the_run(
    write: "Callable[Concatenate[TensorBoardTracker, P], None]",
) -> "Callable[Concatenate[TensorBoardTracker, P], None]":
    """Return a method that logs one line, and no more, when the disk is full."""

    @wraps(write)
    def spared(self: "TensorBoardTracker", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            write(self, *args, **kwargs)
        except OSError as error:
            if not self._failed:
                log.warning("tracking: records for TensorBoard are lost (%s)", reason_of(error))
            self._failed = True

    return spared


class TensorBoardTracker(NullTracker):
    """A tracker for one run at a time. A resumed run keeps the events of its finished epochs.

    TensorBoard keeps no models.

    Raises:
        ConfigError: the package `tensorboard` is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "TensorBoard is not installed: type python -m pip install tensorboard, or with "
                "uv: python -m uv run --extra tensorboard python -m sweeper ..."
            )
        self._step = 0
        self._failed = False
        self._written: set[tuple[str, int]] = set()

    def start(self, info: RunInfo) -> None:
        """Begin a run; copy the events of the finished epochs if it resumes another run."""
        # The module imports TensorBoard.
        from sweeper.tracking.events import epoch_events, event_files, event_writer, names

        folder, resumed = info.folder / FOLDER, info.resumed
        old_files = event_files(folder)
        history = resumed.history if resumed else ()
        events = list(epoch_events(resumed.folder / FOLDER, len(history))) if resumed else []
        self._writer = event_writer(folder)
        for event in events:
            new = names(event) - self._written
            if new:  # an event is in two files if an earlier resume was killed while it copied
                self._written |= new
                self._writer.file_writer.add_event(event, event.step, event.wall_time)
        for epoch, metrics in enumerate(history, start=1):
            self.log_metrics(metrics, epoch)
        self._log_params(info)
        for path in old_files:
            path.unlink()

    @_spares_the_run
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of one step; a second value of a name at a step is ignored."""
        self._step = step
        new = {name: value for name, value in metrics.items() if self._register(name, step)}
        for name, value in new.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    @_spares_the_run
    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a PNG file as an image and a document as text; ignore other files."""
        step = self._step if step is None else step
        tag = f"{folder}/{path.stem}" if folder else path.stem
        if path.suffix == ".png" and self._register(tag, step):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(tag, pixels, step, dataformats="HWC")
        elif path.suffix in DOCUMENTS:
            lines = path.read_text(encoding="utf-8").splitlines()
            self._writer.add_text(tag, "\n".join(f"    {line}" for line in lines))
        self._writer.flush()

    @_spares_the_run
    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record a histogram of the finite values of each layer; the arrays have any shape."""
        for layer, array in values.items():
            finite = array[np.isfinite(array)]
            if finite.size and self._register(f"{name}/{layer}", step):
                self._writer.add_histogram(f"{name}/{layer}", finite, step, bins=BINS)
        self._writer.flush()

    @_spares_the_run
    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Record the graph of operations if the network can be traced."""
        from sweeper.tracking.events import write_graph

        if self._register("graph", 0):
            write_graph(self._writer, model, images)

    @_spares_the_run
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags as text."""
        for name, value in tags.items():
            self._writer.add_text(f"tags/{name}", value)

    @_spares_the_run
    def finish(self, status: Status, reason: str = "") -> None:
        """Record the status and the reason as text, and close the event file."""
        self._writer.add_text("status", f"{status}: {reason}" if reason else status)
        self._writer.close()

    def _register(self, tag: str, step: int) -> bool:
        """Register a tag at a step; return False if it has been registered before."""
        new = (tag, step) not in self._written
        self._written.add((tag, step))
        return new

    def _log_params(self, info: RunInfo) -> None:
        """Record the parameters as text and for TensorBoard's HParams page."""
        # `add_hparams` would record them as a separate run below this one.
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
