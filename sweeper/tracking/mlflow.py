"""Records runs in MLflow without making training wait for it.

The training process writes each record to an outbox on disk and goes on. A thread imports MLflow,
opens the database or reaches the server, and delivers in batches. When the server is away the
records wait in the outbox; the next run in the same folder delivers them, also if this one dies.
"""

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from sweeper.errors import ConfigError
from sweeper.tracking.delivery import Delivery, deliver_leftovers, deliver_until_closed
from sweeper.tracking.outbox import Operation, Outbox, leftovers
from sweeper.tracking.tracker import RunInfo, Status
from sweeper.tracking.uri import resolve_uri, without_password

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)


class MLflowTracker:
    """Records one run at a time in an MLflow server or database.

    uri: null means `MLFLOW_TRACKING_URI`, or without it `mlflow.db` in `folder`, which is where
        `mlflow ui` looks when it is started there; artifacts then go to `mlartifacts` beside it.
    experiment: null means the one that `RunInfo` names.
    flush_seconds: how long `finish` may wait for a server that answers.
    folder: where the command was started; `outbox/` is made in it.

    Raises ConfigError for a URI that MLflow cannot use.
    """

    def __init__(
        self,
        uri: str | None = None,
        experiment: str | None = None,
        flush_seconds: NonNegativeFloat = 30.0,
        folder: Path = Path(),
    ) -> None:
        self.uri = resolve_uri(uri, folder.absolute())
        self._experiment = experiment
        self._flush_seconds = flush_seconds
        self._outboxes = folder.absolute() / "outbox"
        self._outbox: Outbox | None = None

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, once the run is delivered."""
        return self._outbox.delivered.run_id if self._outbox else None

    def start(self, info: RunInfo) -> None:
        """Begin a run, and deliver what dead runs left; raises ConfigError if it cannot write."""
        info = replace(info, experiment=self._experiment or info.experiment)
        left = leftovers(self._outboxes)
        try:
            self._outbox = Outbox.create(self._outboxes)
            self._outbox.append("start", {"uri": self.uri, **_plain(info)})
        except OSError as error:
            message = f"tracking: cannot write records to {self._outboxes} ({error.strerror}); "
            raise ConfigError(message + "start in a folder you may write to.") from error
        self._delivery = Delivery(self._outbox)
        self._closing = threading.Event()
        self._threads = [self._run(deliver_until_closed, self._delivery)]
        if left:
            self._threads.append(self._run(deliver_leftovers, left))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record values that belong to one step; NaN and infinity are sent as they are."""
        values = {name: float(value) for name, value in metrics.items()}
        self._append("metrics", {"metrics": values, "step": step})

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a file as it is now, under `folder`, over the one of an earlier step."""
        self._append("artifact", {"folder": folder}, path)

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record one sheet of the layers' histograms, `watch/<name>.png`, over the one before."""
        from sweeper.figures.histograms import histograms  # imports matplotlib

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name}.png")
            histograms(values, f"{name}, epoch {step}").savefig(path)
            self.log_artifact(path, "watch")

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Do nothing: MLflow has no place for graphs."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over those of the same name."""
        self._append("tags", {"tags": dict(tags)})

    def finish(self, status: Status, reason: str = "") -> None:
        """End the run and wait up to `flush_seconds` for its records to arrive."""
        if self._outbox is None or self._closing.is_set():
            return
        self._append("finish", {"status": status, "reason": reason})
        self._closing.set()
        # A server known to be away gets a moment to be back, not the whole wait.
        patience = min(self._flush_seconds, 2.0 if self._delivery.failure else math.inf)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not self._outbox.delivered.finished:
            self._warn_that_records_wait()

    def _append(self, op: Operation, body: dict[str, Any], kept: Path | None = None) -> None:
        if self._outbox is None or self._closing.is_set():
            raise RuntimeError(f"{op}: the tracker records between start() and finish() only")
        try:
            if kept:
                body["path"] = self._outbox.keep(kept)
            self._outbox.append(op, body)
        except OSError as error:  # training outlives a full disk, its records cannot
            log.error("tracking: a record of %s is lost: %s", op, error)

    def _run(self, deliver: Callable[..., None], *what: object) -> threading.Thread:
        # A daemon: a server that hangs must not keep the process; what it leaves is on disk.
        thread = threading.Thread(
            target=deliver, args=(*what, self._closing), name=deliver.__name__, daemon=True
        )
        thread.start()
        return thread

    def _warn_that_records_wait(self) -> None:
        log.warning(
            "tracking: %s did not take all records in time (%s); the rest waits in %s and is "
            "delivered by the next run in this folder, or by: python -m sweeper.tracking.deliver",
            without_password(self.uri),
            self._delivery.failure or f"{self._flush_seconds:g} seconds were not enough",
            self._outboxes,
        )


def _plain(info: RunInfo) -> dict[str, Any]:
    dataset = asdict(info.dataset) if info.dataset else None
    known = {"name": info.name, "experiment": info.experiment, "run_id": info.run_id}
    return {**known, "params": dict(info.params), "tags": dict(info.tags), "dataset": dataset}
