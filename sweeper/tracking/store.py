"""The operations of an outbox, applied to MLflow. Each may be repeated without harm.

MLflow stores a metric once per (name, step, time, value), a parameter once per name, and a tag
or an artifact over the last one of its name. Creating a run is the exception: so a run carries
the name of its outbox as a tag, and is looked for before it is created.
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

from sweeper.tracking import tags
from sweeper.tracking.outbox import Record
from sweeper.tracking.uri import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

log = logging.getLogger(__name__)

_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH = 250, 6000, 8000  # characters
_METRICS_A_REQUEST, _PARAMS_A_REQUEST = 1000, 100
# Said only where the user's own environment says nothing. The outbox does the retrying.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}
# The server understood these and will never take them; anything else may pass on another try.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}

# A process forked in the middle of another thread's import would wait for that import for ever, so
# a fork (DataLoader workers) waits the second or two that importing MLflow takes.
_importing = threading.RLock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)

_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's page opens on the traces of language models instead of training runs."""


class RefusedError(Exception):
    """The server will never take this record."""


class MLflowStore:
    """An MLflow server or database; constructing one imports MLflow and opens the database."""

    def __init__(self, uri: str, folder: Path) -> None:
        database = sqlite_path(uri)
        # A server decides for itself where artifacts go.
        self._artifacts = (database.parent / "mlartifacts").as_uri() if database else None
        exists = bool(database and database.exists())
        with _database_lock(database.parent if database else folder, shared=exists):
            self.client = _connect(uri)

    def start(self, record: Record, key: str) -> str:
        """Create, find or continue the run of outbox `key`; return its run id."""
        with refusals():
            body = record.body
            experiment = self._experiment(body["experiment"])
            params = {
                allowed_name(name): shorten(value, _PARAM_LENGTH)
                for name, value in body["params"].items()
            }
            run = (
                self._find(experiment, key)
                or self._continue(body["run_id"] or self._former(experiment, body["tags"]), params)
                or self._create(experiment, record, key)
            )
            run_id: str = run.info.run_id
            self._log_params(run_id, params)
            self._log_dataset(run_id, body["dataset"])
        return run_id

    def log_metrics(self, run_id: str, records: Sequence[Record]) -> None:
        """Write the values of several records, in one request where they fit."""
        from mlflow.entities import Metric

        metrics = [
            Metric(allowed_name(name), value, record.time, record.body["step"])
            for record in records
            for name, value in record.body["metrics"].items()
        ]
        with refusals():
            for first in range(0, len(metrics), _METRICS_A_REQUEST):
                chunk = metrics[first : first + _METRICS_A_REQUEST]
                self.client.log_batch(run_id, metrics=chunk, synchronous=True)

    def set_tags(self, run_id: str, values: Mapping[str, str]) -> None:
        """Write tags, over those of the same name."""
        with refusals():
            for name, value in values.items():
                self.client.set_tag(run_id, allowed_name(name), shorten(value, _TAG_LENGTH))

    def log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        """Upload one file."""
        if not path.exists():
            raise RefusedError(f"{path} was deleted before it was delivered")
        with refusals():
            self.client.log_artifact(run_id, str(path), folder or None)

    def finish(self, run_id: str, status: str, reason: str, time: int) -> None:
        """End the run at `time`, in milliseconds since 1970, unless it has ended already.

        A run that was continued, and has ended since, keeps that later end.
        """
        with refusals():
            if self.client.get_run(run_id).info.status != "RUNNING":
                return
            set_end_reason(self.client, run_id, reason)
            self.client.set_terminated(run_id, status, end_time=time)

    def _experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name) or self._new_experiment(name)
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
            log.info("restored the deleted MLflow experiment %r", name)
        return str(experiment.experiment_id)

    def _new_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        try:
            created = self.client.create_experiment(
                name, artifact_location=self._artifacts, tags=_EXPERIMENT_TAGS
            )
        except MlflowException:
            # Another run may have created it since we looked.
            if experiment := self.client.get_experiment_by_name(name):
                return experiment
            raise
        return self.client.get_experiment(created)

    def _find(self, experiment: str, key: str) -> "Run | None":
        found = self.client.search_runs([experiment], f"tags.`{tags.OUTBOX}` = '{key}'")
        return found[0] if found else None

    def _former(self, experiment: str, of_run: Mapping[str, str]) -> str | None:
        """Return the run of an earlier attempt at the same trial, if one was begun."""
        known = tags.parent_and_trial(of_run)
        if known is None:
            return None
        same = f"tags.`{tags.PARENT}` = '{known[0]}' AND tags.`{tags.TRIAL}` = '{known[1]}'"
        found = self.client.search_runs([experiment], same)
        return str(found[0].info.run_id) if found else None

    def _continue(self, run_id: str | None, params: Mapping[str, str]) -> "Run | None":
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                raise
            return None
        # Some of its parameters may be missing: its first owner died while they were delivered.
        if not run or run.info.lifecycle_stage != "active":
            return None
        if not run.data.params.items() <= params.items():
            return None
        self.client.update_run(run.info.run_id, status="RUNNING")
        for tag in {tags.END_REASON, tags.STATE} & run.data.tags.keys():
            self.client.delete_tag(run.info.run_id, tag)
        return run

    def _create(self, experiment: str, record: Record, key: str) -> "Run":
        body = record.body
        values = {name: shorten(value, _TAG_LENGTH) for name, value in body["tags"].items()}
        values[tags.OUTBOX] = key
        if body["run_id"]:
            values[tags.RESUMED_FROM] = body["run_id"]
        return self.client.create_run(experiment, record.time, values, body["name"])

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
    """Write why a run ended, if there is anything to say."""
    if reason:
        client.set_tag(run_id, tags.END_REASON, shorten(reason, _TAG_LENGTH))


def shorten(value: str, length: int) -> str:
    """Return the value, cut to `length` characters with "..." at the end if it is longer."""
    return value if len(value) <= length else value[: length - 3] + "..."


def allowed_name(name: str) -> str:
    """Return the name of a metric or parameter with "_" for what MLflow does not take in one."""
    return re.sub(r"[^/\w.\- :]", "_", name)[:_NAME_LENGTH]


def _connect(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Its deprecations are its own affair, and must not end a run that treats warnings as errors.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)\b")
    with _importing:
        from mlflow import MlflowClient
    # MLflow prints what we report in our own words, with tracebacks, across the progress display.
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)  # opens the database, or reaches the server
    return client


@contextmanager
def refusals() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            raise RefusedError(error.message) from error
        raise


@contextmanager
def _database_lock(folder: Path, shared: bool) -> Iterator[None]:
    """Let one process create a database while those that would open it wait.

    MLflow's own creation of the tables is not safe against a second process. The lock is on the
    folder itself, so that no lock file stays behind.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
