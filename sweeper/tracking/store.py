"""The records of an outbox, written to MLflow. Each operation may be repeated without harm.

MLflow stores a metric once per (name, step, time, value) and a parameter once per name. A tag or
an artifact replaces the last one of its name. Only the creation of a run is not repeatable. Each
run therefore has the name of its outbox as a tag, and `start` looks for it before it creates one.
"""

import fcntl
import json
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.text import shortened
from sweeper.tracking import tags
from sweeper.tracking.outbox import Record
from sweeper.tracking.uri import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

log = logging.getLogger(__name__)

_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH = 250, 6000, 8000  # characters
_METRICS_A_REQUEST, _PARAMS_A_REQUEST = 1000, 100
# Defaults; variables that the user has set win. MLflow itself does not retry: `Delivery` does.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}
# Errors of a server that understood the request and will always refuse it; others may be retried.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}

# A process that is forked while another thread imports a module would wait for that import for
# ever. A fork (for DataLoader workers) therefore waits until MLflow is imported, a second or two.
_import_lock = threading.RLock()
os.register_at_fork(
    before=_import_lock.acquire,
    after_in_parent=_import_lock.release,
    after_in_child=_import_lock.release,
)

_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Without this tag MLflow's page shows traces of language models instead of training runs."""


class RefusedError(Exception):
    """A record that the server will always refuse."""


class MLflowStore:
    """An MLflow server or database. The constructor imports MLflow and opens the database."""

    def __init__(self, uri: str, folder: Path) -> None:
        database = sqlite_path(uri)
        # A server has its own location for artifacts.
        self._artifacts = (database.parent / "mlartifacts").as_uri() if database else None
        exists = bool(database and database.exists())
        with _database_lock(database.parent if database else folder, shared=exists):
            self.client = _connect(uri)

    def start(self, record: Record, key: str) -> str:
        """Find, continue or create the run of an outbox; return its run id.

        key: the name of the outbox.
        """
        with translating_refusals():
            body = record.body
            experiment_id = self._experiment_id(body["experiment"])
            params = {
                allowed_name(name): shortened(value, _PARAM_LENGTH)
                for name, value in body["params"].items()
            }
            run = (
                self._find(experiment_id, key)
                or self._continue(
                    body["run_id"] or self._earlier_attempt(experiment_id, body["tags"]), params
                )
                or self._create(experiment_id, record, key)
            )
            run_id: str = run.info.run_id
            self._log_params(run_id, params)
            self._log_dataset(run_id, body["dataset"])
        return run_id

    def log_metrics(self, run_id: str, records: Sequence[Record]) -> None:
        """Write the metrics of several records, up to 1000 values in one request."""
        from mlflow.entities import Metric

        metrics = [
            Metric(allowed_name(name), value, record.time, record.body["step"])
            for record in records
            for name, value in record.body["metrics"].items()
        ]
        with translating_refusals():
            for first in range(0, len(metrics), _METRICS_A_REQUEST):
                chunk = metrics[first : first + _METRICS_A_REQUEST]
                self.client.log_batch(run_id, metrics=chunk, synchronous=True)

    def set_tags(self, run_id: str, values: Mapping[str, str]) -> None:
        """Write tags; they replace tags of the same name."""
        with translating_refusals():
            for name, value in values.items():
                self.client.set_tag(run_id, allowed_name(name), shortened(value, _TAG_LENGTH))

    def log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        """Upload a file.

        Raises:
            RefusedError: the file does not exist any more.
        """
        if not path.exists():
            raise RefusedError(f"{path} was deleted before it was delivered")
        with translating_refusals():
            self.client.log_artifact(run_id, str(path), folder or None)

    def finish(self, run_id: str, status: str, reason: str, time: int) -> None:
        """End the run at `time` (milliseconds since 1970), unless it has ended already.

        A run that was continued and has ended again keeps its later end.
        """
        with translating_refusals():
            if self.client.get_run(run_id).info.status != "RUNNING":
                return
            set_end_reason(self.client, run_id, reason)
            self.client.set_terminated(run_id, status, end_time=time)

    def _experiment_id(self, name: str) -> str:
        """Return the id of an experiment; create or restore the experiment if need be."""
        experiment = self.client.get_experiment_by_name(name) or self._new_experiment(name)
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
            log.info("restored the deleted MLflow experiment %r", name)
        return str(experiment.experiment_id)

    def _new_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        try:
            experiment_id = self.client.create_experiment(
                name, artifact_location=self._artifacts, tags=_EXPERIMENT_TAGS
            )
        except MlflowException:
            # Another run may have created it in the meantime.
            if experiment := self.client.get_experiment_by_name(name):
                return experiment
            raise
        return self.client.get_experiment(experiment_id)

    def _find(self, experiment_id: str, key: str) -> "Run | None":
        """Return the run that was created for an outbox, or None."""
        runs = self.client.search_runs([experiment_id], f"tags.`{tags.OUTBOX}` = '{key}'")
        return runs[0] if runs else None

    def _earlier_attempt(self, experiment_id: str, run_tags: Mapping[str, str]) -> str | None:
        """Return the id of the run of an earlier attempt at the same trial, or None."""
        trial = tags.parent_and_trial(run_tags)
        if trial is None:
            return None
        query = f"tags.`{tags.PARENT}` = '{trial[0]}' AND tags.`{tags.TRIAL}` = '{trial[1]}'"
        runs = self.client.search_runs([experiment_id], query)
        return str(runs[0].info.run_id) if runs else None

    def _continue(self, run_id: str | None, params: Mapping[str, str]) -> "Run | None":
        """Reopen a run and return it, or None if it is deleted or has other parameters."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                raise
            return None
        if not run or run.info.lifecycle_stage != "active":
            return None
        # A subset is enough: the first owner may have ended while it delivered the parameters.
        if not run.data.params.items() <= params.items():
            return None
        self.client.update_run(run.info.run_id, status="RUNNING")
        for tag in {tags.END_REASON, tags.STATE} & run.data.tags.keys():
            self.client.delete_tag(run.info.run_id, tag)
        return run

    def _create(self, experiment_id: str, record: Record, key: str) -> "Run":
        body = record.body
        values = {name: shortened(value, _TAG_LENGTH) for name, value in body["tags"].items()}
        values[tags.OUTBOX] = key
        if body["run_id"]:
            values[tags.RESUMED_FROM] = body["run_id"]
        return self.client.create_run(experiment_id, record.time, values, body["name"])

    def _log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        entities = [Param(name, value) for name, value in params.items()]
        for first in range(0, len(entities), _PARAMS_A_REQUEST):
            chunk = entities[first : first + _PARAMS_A_REQUEST]
            self.client.log_batch(run_id, params=chunk, synchronous=True)

    def _log_dataset(self, run_id: str, dataset: Mapping[str, str] | None) -> None:
        if dataset is None:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": dataset["source"]})
        entity = Dataset(
            dataset["name"], dataset["digest"][:36], "local", source, None, dataset["profile"]
        )
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(run_id, [DatasetInput(entity, [context])])


def set_end_reason(client: "MlflowClient", run_id: str, reason: str) -> None:
    """Record why a run ended, unless `reason` is empty."""
    if reason:
        client.set_tag(run_id, tags.END_REASON, shortened(reason, _TAG_LENGTH))


def allowed_name(name: str) -> str:
    """Return a name with "_" in place of each character that MLflow does not allow in names."""
    return re.sub(r"[^/\w.\- :]", "_", name)[:_NAME_LENGTH]


def _connect(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Deprecation warnings inside MLflow must not end a run that treats warnings as errors.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)\b")
    with _import_lock:
        from mlflow import MlflowClient
    # MLflow would log each failure with a traceback, which breaks the progress display. `Delivery`
    # and the tracker report failures in one line.
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)  # opens the database, or connects to the server
    return client


@contextmanager
def translating_refusals() -> Iterator[None]:
    """Translate the errors of requests that the server will always refuse.

    Raises:
        RefusedError: MLflow refused the request.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            raise RefusedError(error.message) from error
        raise


@contextmanager
def _database_lock(folder: Path, shared: bool) -> Iterator[None]:
    """Hold a lock on a folder: exclusive to create a database, `shared` to open one.

    MLflow fails when two processes create the tables at the same time. The lock is on the folder
    itself, so no lock file is left behind.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
