"""A network as MLflow's logged model: delivered once, tied to its run, its metrics and its data."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import SweeperError
from sweeper.files import replacing
from sweeper.tracking import tags
from sweeper.tracking.earlier_points import stored_text
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import RefusedError, translating_refusals
from sweeper.tracking.store import MLflowStore, allowed_name

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Metric, Run

log = logging.getLogger(__name__)

NAME = "model"
"""The name of the model in its run: `runs:/RUN_ID/model` leads to it."""
_VERSIONS = "mlflow.modelVersions"
"""MLflow's own tag of a model: the versions of registered models that it is, as JSON."""
_EXISTS = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
_REFUSALS = {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "NOT_IMPLEMENTED", "PERMISSION_DENIED"}
"""Errors of a server that has no models, or that does not let this user write them."""


class TooEarlyError(SweeperError):
    """What a record refers to was not delivered yet; a later attempt may find it."""


class LoggedModels:
    """The operations on the models of a tracking server or database, and on its registry."""

    def __init__(self, store: MLflowStore) -> None:
        self._store = store
        self._client = store.client

    def deliver(
        self,
        run_id: str,
        record: Record,
        folder: Path,
        dataset: Mapping[str, str] | None,
        is_oldest: bool = True,
    ) -> None:
        """Record the model in `folder` as the output of a run, with its metrics, and register it.

        A second delivery of the same record goes on with the model of the first one.

        is_oldest: False if an older outbox may still bring the run's own record of these metrics.

        Raises:
            TooEarlyError: the run lacks a metric, and it may still come.
            RefusedError: the server has no models, or the files were deleted.
        """  # fmt: skip
        body = record.body
        with translating_refusals():
            metrics = list(self._metrics(run_id, record, is_oldest))
            run = self._client.get_run(run_id)
        with self._translating(run_id):
            key = f"{record.time} {body['path']}"
            model = self._known(run, key)
            is_whole = model is not None and model.status == "READY"
            if not is_whole and not (folder / "MLmodel").is_file():
                raise RefusedError(f"{folder} was deleted before it was delivered")
            if model is None:
                model = self._client.create_logged_model(
                    run.info.experiment_id,
                    NAME,
                    run_id,
                    tags={tags.MODEL_KEY: key},
                    params=run.data.params,
                )
            if not is_whole:
                _identify(folder, model, run_id)
                self._client.log_model_artifacts(model.model_id, str(folder))
                self.link(run, model.model_id, body["step"])
                self._log_metrics(run_id, metrics, model.model_id, dataset)
                self._client.finalize_logged_model(model.model_id, "READY")
        if body["registered_as"]:
            self.register(body["registered_as"], model.model_id, run_id)

    def link(self, run: "Run", model_id: str, step: int) -> None:
        """Show a model as an output of a run, which need not be the one that it is from."""
        from mlflow.entities import LoggedModelOutput

        if model_id not in models_of(run):
            self._client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step)])

    def register(self, name: str, model_id: str, run_id: str) -> None:
        """Make a model the newest version of a registered model, unless it is a version already.

        A version that was deleted in the registry is made again.

        Raises:
            RefusedError: the server has no registry, or the user may not write to it.
        """
        with self._translating(run_id):
            self._register(name, model_id, run_id)

    def _register(self, name: str, model_id: str, run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        model = self._client.get_logged_model(model_id)
        versions = json.loads(model.tags.get(_VERSIONS, "[]"))
        found = self._client.search_model_versions(f"run_id = '{run_id}'")
        present = {(version.name, str(version.version)) for version in found}
        # MLflow keeps the tag when a version is deleted.
        versions = [
            v for v in versions if v["name"] != name or (name, str(v["version"])) in present
        ]
        if name in {version["name"] for version in versions}:
            return
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in _EXISTS:
                raise
        # A database would look for `models:/...` at the address that is set for the whole process.
        server = self._store.is_server
        source = f"models:/{model_id}" if server else model.artifact_location
        same = (version for version in found if (version.name, version.source) == (name, source))
        version = next(same, None) or self._client.create_model_version(
            name, source, run_id, model_id=model_id
        )
        log.info("The network is models:/%s/%s now", name, version.version)
        versions.append({"name": name, "version": version.version})
        self._client.set_logged_model_tags(model_id, {_VERSIONS: json.dumps(versions)})

    @contextmanager
    def _translating(self, run_id: str) -> Iterator[None]:
        """Translate the refusals of `translating_refusals`, and those of a server without models.

        A proxy answers for a server that restarts with the same errors, and so does a server to a
        token that has expired. They are no refusals unless the server shows the run right after.

        Raises:
            RefusedError: MLflow refused the request.
        """
        from mlflow.exceptions import MlflowException

        with translating_refusals():
            try:
                yield
            except MlflowException as error:
                if error.error_code in _REFUSALS and self._shows(run_id):
                    raise RefusedError(f"the server takes no model: {error.message}") from error
                raise

    def _shows(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run_id)
        except MlflowException:
            return False
        return True

    def _known(self, run: "Run", key: str) -> "LoggedModel | None":
        """Return the model of an earlier delivery of the same record, or None."""
        found = self._client.search_logged_models(
            [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
        )
        return next((model for model in found if model.tags.get(tags.MODEL_KEY) == key), None)

    def _metrics(self, run_id: str, record: Record, is_oldest: bool) -> "Iterator[Metric]":
        """Yield the metrics of the network as the run has them, so that none gets a second point.

        Raises:
            TooEarlyError: the run lacks one, and it may still come.
        """
        from mlflow.entities import Metric

        for name, value in record.body["metrics"].items():
            point = self._point(run_id, allowed_name(name), value)
            if point is None and not is_oldest:
                raise TooEarlyError(f"the run's own record of {name} was not delivered yet")
            yield point or Metric(allowed_name(name), value, record.time, record.body["step"])

    def _log_metrics(
        self, run_id: str, metrics: "Sequence[Metric]", model_id: str,
        dataset: Mapping[str, str] | None,
    ) -> None:  # fmt: skip
        """Tie metrics of a run to its model and to the data."""
        from mlflow.entities import Metric

        of_data = {}
        if dataset is not None:
            of_data = {"dataset_name": dataset["name"], "dataset_digest": dataset["digest"][:36]}
        tied = [
            Metric(m.key, m.value, m.timestamp, m.step, model_id, run_id=run_id, **of_data)
            for m in metrics
        ]
        if tied:
            self._client.log_batch(run_id, metrics=tied, synchronous=True)

    def _point(self, run_id: str, name: str, value: float) -> "Metric | None":
        """Return the point of a run's metric that has this value, so that no second one is made."""
        text, history = stored_text(value), self._client.get_metric_history(run_id, name)
        same = (point for point in reversed(history) if stored_text(point.value) == text)
        return next(same, None)


def models_of(run: "Run") -> list[str]:
    """Return the ids of the models that are outputs of a run, the newest last."""
    outputs = run.outputs.model_outputs if run.outputs else []
    return [output.model_id for output in outputs]


def _identify(folder: Path, model: "LoggedModel", run_id: str) -> None:
    """Write into the model's file which model of which run it is.

    The exported network computes on the CPU, also where MLflow finds a GPU.
    """
    from mlflow.models import Model

    file = folder / "MLmodel"
    content = Model.load(str(file))
    content.model_id = content.model_uuid = model.model_id
    content.run_id, content.artifact_path = run_id, model.artifact_location
    content.flavors.get("python_function", {}).setdefault("config", {})["device"] = "cpu"
    with replacing(file) as partial:  # it may be a link to a file of somebody else
        content.save(str(partial))
