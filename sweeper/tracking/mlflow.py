"""A tracker that records runs in MLflow; training never waits for the server.

The training process writes each record to an outbox on disk. A background thread delivers them, or
the courier of a study. While the server is unreachable the records stay in the outbox. The next run
in the same folder delivers the records that this run leaves behind, even if this process is killed.
"""

import errno
import logging
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from sweeper import trial
from sweeper.errors import ConfigError
from sweeper.files import reason_of
from sweeper.secrets import masked_uri
from sweeper.tracking.background import BackgroundDelivery
from sweeper.tracking.courier import has_courier
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.model_files import ModelError, check_name, write_model
from sweeper.tracking.outbox import Outbox, abandoned_outboxes
from sweeper.tracking.records import Operation
from sweeper.tracking.system_metrics import SystemMetrics, require_psutil
from sweeper.tracking.tags import TRIAL
from sweeper.tracking.tracker import BuildModel, Milliseconds, RunInfo, Status, TrialEnd
from sweeper.tracking.uri import relative_uri, resolve_uri

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

WantsModel = bool | Literal["auto"]


class MLflowTracker:
    """A tracker for one run at a time, on an MLflow server or in a database.

    The attribute `uri` and the records on disk hold the tracking URI without its password.

    uri: the tracking URI. None means the environment variable `MLFLOW_TRACKING_URI`, or
        `mlflow.db` in `folder` if that is not set. `mlflow ui`, started in `folder`, finds this
        database. The artifacts of a local database are in `mlartifacts` beside it.
    experiment: the MLflow experiment. None means the environment variable
        `MLFLOW_EXPERIMENT_NAME`, or `RunInfo.experiment` if that is not set.
    flush_seconds: the longest time that `finish` waits for a server that answers.
    folder: the folder in which the command was started. `outbox/` is created in it.
    model: whether the best network is recorded as an MLflow model. `auto` is that of a study's
        winner, and of a run that has a name to register.
    register: the name under which the model becomes a version of MLflow's model registry.
    system_metrics: whether the use of processor, memory and GPU is recorded.

    Raises:
        ConfigError: MLflow cannot use the URI, an argument does not fit the others, a package is
            not installed, or nothing can be written to `folder`.
    """

    def __init__(
        self,
        uri: str | None = None,
        experiment: str | None = None,
        flush_seconds: NonNegativeFloat = 30.0,
        folder: Path = Path(),
        model: WantsModel = "auto",
        register: str | None = None,
        system_metrics: bool = False,
    ) -> None:
        check_name(register)
        if register is not None and model is False:
            raise ConfigError(
                f"tracking.register={register} needs the model: type tracking.model=true, or leave "
                "it out"
            )
        if system_metrics:
            require_psutil()
        self._model, self._register = model, register
        self._with_system_metrics = system_metrics
        self._system_metrics: SystemMetrics | None = None
        self._lock = threading.Lock()
        """Held while a record is written: the system metrics come from another thread."""
        self._uri = resolve_uri(uri, folder.absolute())
        self.uri = masked_uri(self._uri)
        self._experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        _require_path_on_databricks(self.uri, self._experiment)
        self._flush_seconds = flush_seconds
        self._outboxes = folder.absolute() / "outbox"
        _require_writable(self._outboxes)
        self._outbox: Outbox | None = None
        self._model_folder: tempfile.TemporaryDirectory[str] | None = None
        """Where the courier writes the model that it was asked for."""
        self._continued: str | None = None
        self._failed = False

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, or its key until the run is delivered; None before `start`."""
        if self._outbox is None:
            return None
        return self._outbox.progress.run_id or self._continued or self._outbox.folder.name

    @property
    def page(self) -> str | None:
        """The address of the run's page, below that of `uri`; None while it is not delivered."""
        return self._background.page if self._outbox is not None else None

    @property
    def wants_model(self) -> bool:
        """True if the best network of this run is to be recorded with `log_model`."""
        if self._model == "auto":
            return trial.info() is not None or self._register is not None
        return self._model

    def start(self, info: RunInfo) -> None:
        """Begin a run, and start to deliver it and the abandoned outboxes in the background.

        Raises:
            ConfigError: the outbox cannot be written.
        """
        info = replace(info, experiment=self._experiment or info.experiment)
        self._continued = info.run_id
        # A courier takes up the abandoned outboxes itself, when the study is opened and finished.
        abandoned = [] if has_courier() else abandoned_outboxes(self._outboxes)
        try:
            self._outbox = Outbox.create(self._outboxes)
            uri = relative_uri(self.uri, self._outboxes.parent)
            self._outbox.append("start", {"uri": uri, **_start_body(info)})
        except OSError as error:
            raise _unwritable(self._outboxes, error.strerror) from error
        self._background = BackgroundDelivery(
            self._outbox, abandoned, self._uri, self._flush_seconds
        )
        if self._with_system_metrics:
            self._system_metrics = SystemMetrics(self.log_metrics)

    def wait_until_attempted(self) -> None:
        """Wait up to 30 seconds for the first attempt to deliver the start of the run."""
        self._background.wait_until_attempted()

    def deliver_others(
        self, of_courier: Sequence[Delivery] = (), since: float | None = None
    ) -> None:
        """Try to deliver the abandoned outboxes, and wait for that as long as `finish` may.

        since: when the wait for deliveries began, by `time.monotonic`; None for now.

        `finish` says so if some are left, or some of those that a courier of this process delivers.
        """
        self._background.deliver_others(of_courier, since)

    def trials_left_behind(self) -> set[str]:
        """Return the labels of trials that are not delivered, once `deliver_others` has waited."""
        starts = [each.outbox.start_record() for each in self._background.left_behind]
        return {start.body["tags"].get(TRIAL, "") for start in starts if start is not None}

    def log_metrics(
        self, metrics: Mapping[str, float], step: int, time: Milliseconds | None = None
    ) -> None:
        """Record the metrics of one step, NaN and infinity included.

        time: when they were measured, in milliseconds since 1970; None for now. The same metrics of
            the same step and time are recorded once.
        """
        values = {name: float(value) for name, value in metrics.items()}
        self._append("metrics", {"metrics": values, "step": step, "time": time})

    def log_artifact(self, path: Path, folder: str = "", step: int | None = None) -> None:
        """Record a file as it is now, under `folder`; it replaces the file of an earlier step."""
        self._append("artifact", {"folder": folder}, path)

    def log_histograms(
        self, name: str, values: Mapping[str, NDArray[np.float32]], step: int
    ) -> None:
        """Record the layers' histograms as `watch/<name>.png`; it replaces an earlier picture."""
        from sweeper.figures.histograms import histograms  # imports matplotlib

        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"{name}.png")
                histograms(values, f"{name.capitalize()} after epoch {step}").savefig(path)
                self.log_artifact(path, "watch")
        except OSError as error:
            self._say_lost(error)

    def log_graph(self, model: "nn.Module", images: "Tensor") -> None:
        """Do nothing: MLflow does not show graphs."""

    def begin_model(self, build: BuildModel) -> None:
        """Let the courier begin to write the model, if there is a courier and room for a folder."""
        handover = self._background.handover
        if handover is not None and self._model_folder is None:
            with suppress(OSError):  # `log_model` says so
                self._model_folder = tempfile.TemporaryDirectory()
                handover.ask_for_model(build, Path(self._model_folder.name, "model"))

    def log_model(self, build: BuildModel, metrics: Mapping[str, float], step: int) -> None:
        """Record a network as an MLflow model; it is registered if the tracker has a name for it.

        If it cannot be built, or torch cannot export it, one line says so. The model of a study's
        winner is registered by the run of the study. The courier writes the files if it is ready.

        Raises:
            OSError: the record cannot be stored, such as on a full disk.
        """
        register = self._register if trial.info() is None else None
        body = {"metrics": dict(metrics), "step": step, "registered_as": register}
        self.begin_model(build)
        place, self._model_folder = self._model_folder or tempfile.TemporaryDirectory(), None
        with place as folder:
            path = Path(folder, "model")
            try:
                handover = self._background.handover
                if handover is None or not handover.has_written_model():
                    write_model(build, path)
            except ModelError as error:
                log.warning("tracking: the network cannot be recorded as a model (%s)", error)
                return
            self._store("model", body, path)

    def set_tags(self, tags: Mapping[str, str], prefix: str | None = None) -> None:
        """Set tags; they replace tags of the same name, and all that begin with `prefix`."""
        self._append("tags", {"tags": _texts(tags), "prefix": prefix})

    def reconcile(
        self,
        study: str,
        study_key: str | None,
        trials: Sequence[TrialEnd],
        note: str = "",
        winner: int | None = None,
    ) -> None:
        """Make the runs of a study's trials, which are below this run, agree with the study.

        study_key: the id or key by which the trials refer to this run, or None for its own.
        note: the text on the page of this run, in Markdown, with links to the runs of the trials.
        winner: the trial whose model, if it has one, is that of the study, and is registered.
        """
        ends = [asdict(trial) for trial in trials]
        names = {"study": study, "study_key": study_key, "registered_as": self._register}
        self._append("reconcile", names | {"trials": ends, "note": note, "winner": winner})

    def finish(self, status: Status, reason: str = "") -> None:
        """End the run, and wait up to `flush_seconds` for the delivery of its records.

        The run of a trial is delivered while the worker's next trial trains. The end of that one
        waits for it, or `wait_for_trials` at the end of the worker.
        """
        if self._outbox is None or self._background.is_closing:
            return
        if self._system_metrics is not None:
            self._system_metrics.finish()
        if self._model_folder is not None:
            self._model_folder.cleanup()
        self._append("finish", {"status": status, "reason": reason})
        if self._background.close():
            return
        if trial.info() is not None and not trial.must_stop_now():
            wait_for_trials()
            _finished_trials.append(self)
            return
        self.wait()

    def wait(self) -> None:
        """Wait up to `flush_seconds` for the delivery of a run that has ended."""
        self._background.wait()

    def _append(self, op: Operation, body: dict[str, Any], artifact: Path | None = None) -> None:
        """Append a record to the outbox; on a full disk it is lost, and training continues.

        Raises:
            RuntimeError: no run has been started, or the run is finished.
        """
        try:
            self._store(op, body, artifact)
        except OSError as error:
            self._say_lost(error)

    def _say_lost(self, error: OSError) -> None:
        """Say once that records of this run are lost."""
        if not self._failed:
            log.warning("tracking: records for MLflow are lost (%s)", reason_of(error))
        self._failed = True

    def _store(self, op: Operation, body: dict[str, Any], artifact: Path | None) -> None:
        """Append a record to the outbox.

        Raises:
            OSError: the disk is full.
            RuntimeError: no run has been started, or the run is finished.
        """
        if self._outbox is None or self._background.is_closing:
            raise RuntimeError(f"{op}: a tracker records only between start() and finish()")
        with self._lock:
            if artifact:
                is_folder = artifact.is_dir()
                keep = self._outbox.keep_folder if is_folder else self._outbox.keep_file
                body["path"] = keep(artifact)
            self._outbox.append(op, body)


_finished_trials: list[MLflowTracker] = []
"""The trackers of trials that have ended, and that may not be delivered yet."""


def wait_for_trials() -> None:
    """Wait for the delivery of the trials that this process has run."""
    while _finished_trials:
        _finished_trials.pop(0).wait()


def _start_body(info: RunInfo) -> dict[str, Any]:
    """Return the body of a start record as JSON values."""
    dataset = asdict(info.dataset) if info.dataset else None
    identity = {"name": info.name, "experiment": info.experiment, "run_id": info.run_id}
    params, tags = _texts(info.params), _texts(info.tags)
    history = list(info.resumed.history) if info.resumed and info.run_id else []
    return {**identity, "params": params, "tags": tags, "dataset": dataset, "history": history}


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    """Return the values as texts; a value of another type would make a record unusable."""
    return {name: str(value) for name, value in values.items()}


def _require_path_on_databricks(uri: str, experiment: str | None) -> None:
    """Check that an experiment on Databricks has a path of the workspace as its name.

    The name of the data, which is that of an experiment elsewhere, would be refused at the end.
    """
    if uri.startswith("databricks") and not (experiment or "").startswith("/"):
        raise ConfigError(
            f"tracking.uri={uri}: there the experiment needs a path of the workspace as its name; "
            "type tracking.experiment=/Users/NAME/EXPERIMENT with your own"
        )


def _require_writable(folder: Path) -> None:
    """Check that a folder can be created or written, before a study runs its first trial."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _unwritable(folder, os.strerror(errno.EACCES))


def _unwritable(folder: Path, reason: str | None) -> ConfigError:
    return ConfigError(
        f"tracking: cannot write records to {folder} ({reason}); start in a folder you may write "
        "to, or type tracking=none"
    )
