"""The records of an outbox, written to MLflow. Each operation may be repeated without harm.

MLflow stores a metric once per (name, step, time, value) and a parameter once per name. A tag or
an artifact replaces the last one of its name. Only the creation of a run is not repeatable. Each
run therefore has the name of its outbox as a tag, and `start` looks for it before it creates one.

Several attempts at a run, such as those before and after an interruption, have an outbox each. They
may be delivered in any order: the run has a tag with the start of its last attempt, and an attempt
that started earlier neither ends the run nor replaces a tag or an artifact.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sweeper.locks import beside, locked_beside
from sweeper.text import shortened
from sweeper.tracking import tags
from sweeper.tracking.blank import copy_blank, keep_blank
from sweeper.tracking.earlier_points import EarlierPoints, SystemSteps
from sweeper.tracking.imported import import_mlflow
from sweeper.tracking.known_runs import KnownRuns
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import RefusedError, translating_refusals
from sweeper.tracking.schema_version import check_schema, require_readable
from sweeper.tracking.system_metrics import PREFIX
from sweeper.tracking.uri import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

log = logging.getLogger(__name__)

_NAME_LENGTH, _PARAM_LENGTH, _TAG_LENGTH = 250, 6000, tags.TAG_LENGTH  # characters
_METRICS_A_REQUEST, _PARAMS_A_REQUEST, _TAGS_A_REQUEST = 1000, 100, 100

_ARTIFACTS = "mlartifacts"
"""The folder for artifacts, beside a local database."""
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Without this tag MLflow's page shows traces of language models instead of training runs."""


class MLflowStore:
    """An MLflow server or database. The constructor imports MLflow and opens the database."""

    def __init__(self, uri: str, folder: Path) -> None:
        database = sqlite_path(uri)
        self.is_server = uri.startswith(("http:", "https:", "databricks"))
        self.page: str | None = None
        """The address of the run that was started last, below that of the server."""
        self._database = database
        if database is not None:
            require_readable(database)
        check_schema(uri, database)
        with nullcontext() if self.is_server else _alone_if_new(database, folder):
            new = database if database and not database.exists() else None
            is_copy = new is not None and copy_blank(new)
            self.client = _connect(uri)
            if new is not None and not is_copy:
                keep_blank(new)
        self.runs = KnownRuns(self.client)
        self._earlier: dict[str, EarlierPoints | None] = {}
        """What runs have logged before, by their ids; None for a new run, and for a study's."""
        self._system_steps = SystemSteps(self.client)

    def start(self, record: Record, key: str) -> str:
        """Find, continue or create the run of an outbox; return its run id.

        key: the name of the outbox.
        """
        with translating_refusals():
            body = record.body
            experiment = self._experiment(body["experiment"])
            params = {
                allowed_name(name): shortened(value, _PARAM_LENGTH)
                for name, value in body["params"].items()
            }
            self.runs.look_again()
            parent = self.runs.study_of(body["tags"])
            run = self.runs.of_outbox(record, key, params, parent)
            if run is None:
                run = self._create(experiment, record, key, parent)
                self._earlier[run.info.run_id] = None
            run_id: str = run.info.run_id
            # The run that this one continues may be gone, or in another database.
            if run.info.start_time == record.time or tags.OUTBOX not in run.data.tags:
                self._log_history(run_id, record)
            self._take_up(run, record, key)
            self.page = page_of(run)
            self.log_params(run_id, _new_params(run, params))
            self._log_dataset(run_id, body["dataset"])
            if tags.is_study(body["tags"]):
                self.adopt(run, {key, body["run_id"]})
            else:
                self._join_study(run, body["tags"], parent)
        return run_id

    def _log_history(self, run_id: str, record: Record) -> None:
        """Write the metrics of the epochs before the start of an attempt."""
        epochs = enumerate(record.body["history"], 1)
        metrics = [{"metrics": values, "step": epoch} for epoch, values in epochs]
        points = [Record("metrics", record.time, each) for each in metrics]
        self.log_metrics(run_id, points, record.time)

    def log_metrics(self, run_id: str, records: Sequence[Record], started: int) -> None:
        """Write the metrics of several records.

        An attempt from an older checkpoint than the last one repeats epochs. What it logs again is
        left out.

        started: when the attempt started (milliseconds since 1970). Its system metrics follow those
            of earlier attempts.
        """
        if records:
            with translating_refusals():
                self._write_metrics(run_id, records, started, self._logged_before(run_id))

    def add_metrics(self, run_id: str, records: Sequence[Record]) -> None:
        """Write metrics of a run that none of its attempts has logged."""
        self._write_metrics(run_id, records, 0, None)

    def _logged_before(self, run_id: str) -> EarlierPoints | None:
        """Return what a run has logged before this store wrote to it, if that may come again."""
        if run_id not in self._earlier:
            is_study = tags.is_study(self.client.get_run(run_id).data.tags)
            self._earlier[run_id] = None if is_study else EarlierPoints(self.client, run_id)
        return self._earlier[run_id]

    def _write_metrics(
        self,
        run_id: str,
        records: Sequence[Record],
        started: int,
        earlier: EarlierPoints | None,
    ) -> None:
        """Write metrics but for those of `earlier`, up to 1000 values in one request."""
        from mlflow.entities import Metric

        def step_of(name: str, step: int) -> int:
            if not name.startswith(PREFIX):
                return step
            return step + self._system_steps.first(run_id, name, started)

        metrics = [
            Metric(allowed_name(name), v, _measured(record), step_of(name, record.body["step"]))
            for record in records
            for name, v in record.body["metrics"].items()
        ]
        if earlier is not None:
            metrics = [metric for metric in metrics if metric not in earlier]
        for first in range(0, len(metrics), _METRICS_A_REQUEST):
            chunk = metrics[first : first + _METRICS_A_REQUEST]
            self.client.log_batch(run_id, metrics=chunk, synchronous=True)

    def set_tags(
        self, run_id: str, values: Mapping[str, str], prefix: str | None, started: int
    ) -> None:
        """Write tags; they replace tags of the same name, and all that begin with `prefix`.

        started: when the attempt that sets them started (milliseconds since 1970). The tags of an
            earlier attempt than the run's last one replace none.
        """
        with translating_refusals():
            run = self.client.get_run(run_id)
            values = {allowed_name(name): value for name, value in values.items()}
            present = set(run.data.tags)
            old = {name for name in present if prefix and name.startswith(prefix)}
            if is_superseded(run, started):
                of_last_attempt = {tags.STATE, *(values if old else ())}
                values = {n: v for n, v in values.items() if n not in present | of_last_attempt}
                old = set()
            self._write_tags(run_id, values)
            for name in old - values.keys():
                self.client.delete_tag(run_id, name)

    def log_artifacts(self, run_id: str, files: Sequence[tuple[Path, str]], started: int) -> None:
        """Upload files to folders, unless a later attempt than that of `started` has its own.

        Raises:
            RefusedError: a file does not exist any more.
        """
        with translating_refusals():
            superseded = is_superseded(self.client.get_run(run_id), started)
            for path, folder in files:
                if not path.exists():
                    raise RefusedError(f"{path} was deleted before it was delivered")
                if not (superseded and self._has_artifact(run_id, folder, path.name)):
                    self.client.log_artifact(run_id, str(path), folder or None)

    def _has_artifact(self, run_id: str, folder: str, name: str) -> bool:
        present = self.client.list_artifacts(run_id, folder or None)
        return str(PurePosixPath(folder, name)) in {file.path for file in present}

    def finish(self, run_id: str, status: str, reason: str, time: int, started: int) -> None:
        """End the run at `time` (milliseconds since 1970), unless a later attempt has started.

        A study that finishes counts even then, if the later command has ended it with an error.

        started: when the attempt that ends started (milliseconds since 1970).
        """
        with translating_refusals():
            run = self.client.get_run(run_id)
            ended = run.info.status in ("FAILED", "KILLED") and (run.info.end_time or 0) < time
            finishes = status == "FINISHED" and ended and tags.TRIAL not in run.data.tags
            if finishes or not is_superseded(run, started):
                replace_tag(self.client, run, tags.END_REASON, reason)
                self.client.set_terminated(run_id, status, end_time=time)
            elif tags.ENDED_BY_STUDY in run.data.tags and tags.END_REASON not in run.data.tags:
                replace_tag(self.client, run, tags.END_REASON, reason)

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write parameters; a parameter that the run has already must keep its value."""
        from mlflow.entities import Param

        entities = [
            Param(allowed_name(name), shortened(value, _PARAM_LENGTH))
            for name, value in params.items()
        ]
        for first in range(0, len(entities), _PARAMS_A_REQUEST):
            chunk = entities[first : first + _PARAMS_A_REQUEST]
            self.client.log_batch(run_id, params=chunk, synchronous=True)

    def adopt(self, study: "Run", references: Iterable[str | None]) -> None:
        """Make a study's run the parent of its trials' runs, which may be older than itself.

        references: ids and keys, beside those on record, by which the trials may refer to it.
        """
        self.runs.look_again()  # it looks for runs that were created after it
        run_id, known = study.info.run_id, study.data.tags
        names = {run_id, known.get(tags.OUTBOX), known.get(tags.RESUMED_FROM), *references}
        for name in filter(None, names):
            for run in list(self.runs.search({tags.STUDY_KEY: name})):
                if run.data.tags.get(tags.PARENT) != run_id:
                    self.client.set_tag(run.info.run_id, tags.PARENT, run_id, synchronous=True)

    def _experiment(self, name: str) -> "Experiment | None":
        """Return an experiment, which is restored if it was deleted; None if there is none."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
            log.info("restored the deleted MLflow experiment %r", name)
        if experiment is not None and self._database is not None:
            _warn_of_former_place(name, experiment.artifact_location, self._database)
        return experiment

    def _new_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        # A server has its own location for artifacts.
        location = (self._database.parent / _ARTIFACTS).as_uri() if self._database else None
        try:
            experiment_id = self.client.create_experiment(
                name, artifact_location=location, tags=_EXPERIMENT_TAGS
            )
        except MlflowException:
            # Another run may have created it in the meantime.
            if experiment := self.client.get_experiment_by_name(name):
                return experiment
            raise
        return self.client.get_experiment(experiment_id)

    def _take_up(self, run: "Run", record: Record, key: str) -> None:
        """Mark a known run as running, unless a later attempt at it has started."""
        run_id, known = run.info.run_id, run.data.tags
        if tags.OUTBOX not in known:
            self._write_tags(run_id, self._first_tags(record, key))
        if is_superseded(run, record.time) or known.get(tags.LAST_START) == str(record.time):
            return
        for tag in {tags.END_REASON, tags.ENDED_BY_STUDY, tags.STATE} & known.keys():
            self.client.delete_tag(run_id, tag)
        self.client.update_run(run_id, status="RUNNING")
        # Last: with this tag no further delivery of the record does the rest.
        self.client.set_tag(run_id, tags.LAST_START, str(record.time), synchronous=True)

    def _create(
        self, experiment: "Experiment | None", record: Record, key: str, parent: "Run | None"
    ) -> "Run":
        """Create a run in an experiment, which is a new one if None, or below its parent.

        MLflow shows a run below its parent only if both are in the same experiment.
        """
        values = self._first_tags(record, key) | {tags.LAST_START: str(record.time)}
        if parent:
            values[tags.PARENT] = parent.info.run_id
            experiment_id = parent.info.experiment_id
        else:
            found = experiment or self._new_experiment(record.body["experiment"])
            experiment_id = str(found.experiment_id)
        name = shortened(record.body["name"] or "", _NAME_LENGTH) or None
        return self.client.create_run(experiment_id, record.time, values, name)

    def _first_tags(self, record: Record, key: str) -> dict[str, str]:
        """Return the tags of a run that has no records yet."""
        body = record.body
        values = {allowed_name(n): shortened(v, _TAG_LENGTH) for n, v in body["tags"].items()}
        if tags.TRIAL in values and tags.PARENT in values:
            values[tags.STUDY_KEY] = values.pop(tags.PARENT)
        continued = body["run_id"]
        if continued is None:
            return values | {tags.OUTBOX: key}
        old = self.runs.find(continued)
        if old is None and "-" in continued:
            # The first attempt is not delivered yet. It finds this run by its own key.
            return values | {tags.OUTBOX: continued}
        return values | {tags.OUTBOX: key, tags.RESUMED_FROM: old.info.run_id if old else continued}

    def _join_study(self, run: "Run", run_tags: Mapping[str, str], parent: "Run | None") -> None:
        """Make a trial's run a child of the study's run, if that exists already.

        If not, the study's run adopts this one when it starts. One of them always sees the other,
        since each looks for the other after it was created.
        """
        if parent is None:
            self.runs.look_again()
            parent = self.runs.study_of(run_tags)
        if parent and run.data.tags.get(tags.PARENT) != parent.info.run_id:
            self.client.set_tag(run.info.run_id, tags.PARENT, parent.info.run_id, synchronous=True)

    def _write_tags(self, run_id: str, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        entities = [RunTag(name, shortened(value, _TAG_LENGTH)) for name, value in values.items()]
        for first in range(0, len(entities), _TAGS_A_REQUEST):
            chunk = entities[first : first + _TAGS_A_REQUEST]
            self.client.log_batch(run_id, tags=chunk, synchronous=True)

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


def _alone_if_new(database: Path | None, folder: Path) -> AbstractContextManager[None]:
    """Return the lock of those who create the tables of a database; none if the file has them.

    MLflow fails when two processes create them at the same time. The lock is on a file of its own:
    that on the folder belongs to a run, which holds it as long as it trains.
    """
    if database is None:  # of a database server, which says not whether it has tables
        outbox = folder / "outbox"  # the start folder itself may be read-only
        return locked_beside((outbox if outbox.is_dir() else folder) / ".mlflow")
    # In this order: the process that creates the database makes the locked file first, and removes
    # it last.
    if database.exists() and not beside(database).exists():
        return nullcontext()
    return locked_beside(database)


@cache
def _warn_of_former_place(experiment: str, location: str, database: Path) -> None:
    """Warn once if an experiment keeps its artifacts where its database was before it was moved.

    location: the place for artifacts, as a URI. MLflow never changes it.
    """
    from mlflow.utils.file_utils import local_file_uri_to_path

    folder = Path(local_file_uri_to_path(location))
    # Any other place is one that a user has chosen. A database there is a copy, or the same file.
    is_default = location.startswith("file:") and folder.name == _ARTIFACTS
    if is_default and not (folder.parent / database.name).exists():
        log.warning(
            "tracking: the artifacts of the experiment %s go to %s, where its database was before "
            "it was moved; type tracking.experiment=NAME for a new one beside the database",
            experiment,
            folder,
        )


def is_superseded(run: "Run", started: int) -> bool:
    """Return whether an attempt at the run started after `started`."""
    last_start = run.data.tags.get(tags.LAST_START, "")
    return last_start.isdecimal() and int(last_start) > started


def page_of(run: "Run") -> str:
    """Return the address of a run's page, below that of the server."""
    return _page(run.info.experiment_id, f"runs/{run.info.run_id}")


def model_page_of(run: "Run", model_id: str) -> str:
    """Return the address of the page of a run's model, below that of the server."""
    return _page(run.info.experiment_id, f"models/{model_id}")


def _page(experiment_id: str, place: str) -> str:
    # Without the query MLflow's page opens with its view for language models.
    return f"#/experiments/{experiment_id}/{place}?workflowType=machine_learning"


def _measured(record: Record) -> int:
    """Return when the metrics of a record were measured, in milliseconds since 1970."""
    time: int | None = record.body.get("time")
    return record.time if time is None else time


def _new_params(run: "Run", params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in run.data.params}


def replace_tag(client: "MlflowClient", run: "Run", name: str, value: str) -> None:
    """Set a tag of a run, or delete it if `value` is empty."""
    run_id = run.info.run_id
    if value:
        client.set_tag(run_id, name, shortened(value, _TAG_LENGTH), synchronous=True)
    elif name in run.data.tags:
        client.delete_tag(run_id, name)


def allowed_name(name: str) -> str:
    """Return a name with "_" in place of each character that MLflow does not allow in names."""
    return re.sub(r"[^/\w.\- :]", "_", name)[:_NAME_LENGTH]


def _connect(uri: str) -> "MlflowClient":
    import_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)  # opens the database, or connects to the server
    return client
