"""The model of a run: delivered once, tied to its run, its metrics and its data, and registered."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from study_side import StudySide
from sweeper import trial
from sweeper.errors import ConfigError
from sweeper.tracking import mlflow as module
from sweeper.tracking.delivered import Progress
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.logged_model import LoggedModels
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.model_files import ModelError
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.records import DamagedRecordError, parse
from sweeper.tracking.store import MLflowStore
from sweeper.tracking.tracker import DatasetInfo, RunInfo, ServedModel

INFO = RunInfo(
    "digits", params={"optimizer.lr": "0.1"}, dataset=DatasetInfo("digits", "abc", "sklearn")
)
AWAY = "http://127.0.0.1:9"
MODEL = ServedModel(nn.Identity(), torch.zeros(2, 1, 2, 2), {})
METRICS = {"val/loss": 0.25, "test/loss": 0.5}


@pytest.fixture(autouse=True)
def _written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files of a model without a network: to export one takes seconds."""

    def write(build: object, folder: Path) -> None:
        from mlflow.models import Model

        (folder / "data").mkdir(parents=True)
        (folder / "data" / "model.pt2").write_text("weights")
        content = Model()
        content.add_flavor("python_function", loader_module="mlflow.pytorch")
        content.save(str(folder / "MLmodel"))

    monkeypatch.setattr(module, "write_model", write)


def record(uri: str, folder: Path, **settings: Any) -> MLflowTracker:
    tracker = MLflowTracker(uri, folder=folder, model=True, **settings)
    tracker.start(INFO)
    for step in (1, 2, 3):
        tracker.log_metrics({"val/loss": 0.5 / step}, step)
    tracker.log_metrics({"test/loss": 0.5}, 3)
    tracker.log_model(lambda: MODEL, METRICS, step=2)
    tracker.finish("FINISHED")
    return tracker


def client(uri: str):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def model_of(uri: str, run_id: str):  # type: ignore[no-untyped-def]
    run = client(uri).get_run(run_id)
    [output] = run.outputs.model_outputs
    assert output.step == 2
    return client(uri).get_logged_model(output.model_id)


def test_a_model_has_the_metrics_of_its_network_and_the_params_of_its_run(
    database: str, tmp_path: Path
) -> None:
    run_id = record(database, tmp_path).run_id
    assert run_id is not None
    model = model_of(database, run_id)
    assert (model.name, model.source_run_id, str(model.status)) == ("model", run_id, "READY")
    assert model.params == {"optimizer.lr": "0.1"}
    tied = {(m.key, m.value, m.step, m.dataset_name, m.dataset_digest) for m in model.metrics}
    assert tied == {("val/loss", 0.25, 2, "digits", "abc"), ("test/loss", 0.5, 3, "digits", "abc")}
    # No point of the run's own curve is doubled.
    history = client(database).get_metric_history(run_id, "val/loss")
    assert [point.step for point in history] == [1, 2, 3]
    files = client(database).list_logged_model_artifacts(model.model_id)
    assert {file.path for file in files} == {"MLmodel", "data"}


def test_the_models_file_names_the_model_its_run_and_the_processor(
    database: str, tmp_path: Path
) -> None:
    from mlflow.models import Model

    run_id = record(database, tmp_path).run_id
    assert run_id is not None
    model = model_of(database, run_id)
    content = Model.load(model.artifact_location.removeprefix("file://"))
    assert (content.model_id, content.run_id) == (model.model_id, run_id)
    assert content.flavors["python_function"]["config"]["device"] == "cpu"


def test_a_model_that_is_delivered_twice_is_one_model_and_one_version(
    database: str, tmp_path: Path
) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    module.write_model(lambda: MODEL, tmp_path / "model")
    start = {"uri": database, "experiment": "twice", "dataset": None}
    outbox.append("start", start)
    body = {"metrics": {"val/loss": 0.25}, "step": 2, "registered_as": "it's digits"}
    outbox.append("model", body | {"path": outbox.keep_folder(tmp_path / "model")})
    for _ in range(2):
        outbox.progress = Progress()
        delivery = Delivery(outbox)
        assert delivery.attempt(), delivery.failure
    run_id = outbox.progress.run_id
    assert run_id is not None
    model = model_of(database, run_id)
    [version] = client(database).search_model_versions(f"run_id = '{run_id}'")
    assert (version.name, version.version) == ("it's digits", 1)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "it's digits", "version": 1}]
    assert len(client(database).get_metric_history(run_id, "val/loss")) == 1


def test_a_model_waits_for_the_epochs_that_another_outbox_holds(
    database: str, tmp_path: Path
) -> None:
    run_tags = {"sweeper.study": "s", "sweeper.trial": "3", "mlflow.parentRunId": "p"}
    start = {"uri": database, "experiment": "order", "dataset": None, "tags": run_tags}
    epochs, model = (Outbox.create(tmp_path / "outbox") for _ in range(2))
    epochs.append("start", start)
    epochs.append("metrics", {"metrics": {"val/loss": 0.25}, "step": 2})
    module.write_model(lambda: MODEL, tmp_path / "model")
    model.append("start", start)
    body = {"metrics": {"val/loss": 0.25}, "step": 2, "registered_as": None}
    model.append("model", body | {"path": model.keep_folder(tmp_path / "model")})
    early = Delivery(model)
    assert not early.attempt()
    assert early.failure == "the run's own record of val/loss was not delivered yet"
    assert Delivery(epochs).attempt()
    assert early.attempt(), early.failure
    run_id = epochs.progress.run_id
    assert run_id is not None
    assert run_id == model.progress.run_id
    assert model_of(database, run_id).metrics[0].step == 2
    assert len(client(database).get_metric_history(run_id, "val/loss")) == 1


def test_a_model_waits_for_its_server(database: str, tmp_path: Path, caplog) -> None:
    record(AWAY, tmp_path, register="later")
    [folder] = (tmp_path / "outbox").iterdir()
    outbox = Outbox.take_over(folder)
    assert outbox is not None
    delivery = Delivery(outbox, lambda uri, place: MLflowStore(database, place))
    assert delivery.attempt(), delivery.failure
    [version] = client(database).search_model_versions("name = 'later'")
    model = model_of(database, outbox.progress.run_id or "")
    assert version.source == model.artifact_location


def test_the_next_model_of_a_name_is_its_next_version(database: str, tmp_path: Path) -> None:
    for _ in range(2):
        record(database, tmp_path, register="again")
    versions = client(database).search_model_versions("name = 'again'")
    assert sorted(int(version.version) for version in versions) == [1, 2]


def test_a_network_that_cannot_be_exported_costs_one_line(
    database: str, tmp_path: Path, monkeypatch, caplog
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("its sizes depend on its values")

    monkeypatch.setattr(module, "write_model", fail)
    run_id = record(database, tmp_path).run_id
    assert client(database).get_run(run_id).info.status == "FINISHED"
    [warning] = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert warning.endswith("cannot be recorded as a model (its sizes depend on its values)")


@pytest.mark.parametrize(
    ("settings", "single", "of_study"),
    [
        ({}, False, True),
        ({"model": True}, True, True),
        ({"model": False}, False, False),
        ({"register": "digits"}, True, True),
    ],
)
def test_which_networks_become_models(tmp_path: Path, settings, single, of_study) -> None:
    tracker = MLflowTracker(AWAY, folder=tmp_path, **settings)
    assert tracker.wants_model is single
    with trial.reported_by(StudySide()):
        assert tracker.wants_model is of_study


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"register": "a/b"}, "tracking.register=a/b: .* neither / nor :"),
        ({"register": ""}, "tracking.register=: "),
        ({"register": "digits", "model": False}, "type tracking.model=true"),
    ],
)
def test_a_name_that_cannot_be_registered_is_refused(tmp_path: Path, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        MLflowTracker(AWAY, folder=tmp_path, **settings)


def test_a_model_from_outside_of_the_outbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files" / "0").mkdir(parents=True)
    (tmp_path / "files" / "0" / "link").symlink_to(os.sep)
    for path in ("files/0", "..", "files"):
        line = json.dumps({"op": "model", "time": 0, "body": {"path": path}})
        with pytest.raises(DamagedRecordError, match="is not among its files"):
            parse(line.encode(), tmp_path)


def test_a_model_that_cannot_be_stored_is_an_error(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_folder(outbox: Outbox, path: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Outbox, "keep_folder", keep_folder)
    with pytest.raises(OSError, match="No space left on device"):
        record(database, tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_model_finds_a_metric_that_is_no_number(
    database: str, tmp_path: Path, value: float
) -> None:
    (tmp_path / "outbox" / "19700101-older").mkdir(parents=True)  # what is missing might be there
    outbox = Outbox.create(tmp_path / "outbox")
    module.write_model(lambda: MODEL, tmp_path / "model")
    outbox.append("start", {"uri": database, "experiment": "numbers", "dataset": None})
    outbox.append("metrics", {"metrics": {"test/loss": value}, "step": 2})
    body = {"metrics": {"test/loss": value}, "step": 2, "registered_as": "numbers"}
    outbox.append("model", body | {"path": outbox.keep_folder(tmp_path / "model")})
    delivery = Delivery(outbox)
    assert delivery.attempt(), delivery.failure
    run_id = outbox.progress.run_id or ""
    assert model_of(database, run_id).metrics
    assert client(database).search_model_versions(f"run_id = '{run_id}'")


@pytest.mark.parametrize("whole_name", [False, True])
def test_a_version_that_was_deleted_is_registered_again(
    database: str, tmp_path: Path, whole_name: bool
) -> None:
    run_id = record(database, tmp_path, register="gone").run_id or ""
    if whole_name:
        client(database).delete_registered_model("gone")
    else:
        client(database).delete_model_version("gone", "1")
    model_id = model_of(database, run_id).model_id
    for _ in range(2):
        LoggedModels(MLflowStore(database, tmp_path)).register("gone", model_id, run_id)
    [version] = client(database).search_model_versions(f"run_id = '{run_id}'")
    tag = model_of(database, run_id).tags["mlflow.modelVersions"]
    assert json.loads(tag) == [{"name": "gone", "version": int(version.version)}]


def model_outbox(uri: str, folder: Path) -> Outbox:
    """Return an outbox with a run and its model."""
    outbox = Outbox.create(folder / "outbox")
    module.write_model(lambda: MODEL, folder / "model")
    outbox.append("start", {"uri": uri, "experiment": "e", "dataset": None})
    body = {"metrics": {"val/loss": 0.25}, "step": 2, "registered_as": "digits"}
    outbox.append("model", body | {"path": outbox.keep_folder(folder / "model")})
    return outbox


def let_fail(patch: pytest.MonkeyPatch, code: str, method: str, *others: str) -> None:
    """Make a method of MLflow's client fail, and after its first failure others too."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    def fails(*_: object, **__: object) -> None:
        for other in others:
            patch.setattr(MlflowClient, other, fails)
        raise MlflowException("no such page", ErrorCode.Value(code))

    patch.setattr(MlflowClient, method, fails)


@pytest.mark.parametrize(
    ("code", "method"),
    [
        ("ENDPOINT_NOT_FOUND", "get_metric_history"),  # of a proxy, while the server restarts
        ("ENDPOINT_NOT_FOUND", "create_logged_model"),
        ("PERMISSION_DENIED", "create_registered_model"),  # with a token that has expired
    ],
)
def test_a_model_waits_for_a_server_that_shows_no_run_either(
    database: str, tmp_path: Path, code: str, method: str
) -> None:
    outbox = model_outbox(database, tmp_path)
    delivery = Delivery(outbox)
    with pytest.MonkeyPatch.context() as patch:
        let_fail(patch, code, method, "get_run")
        assert not delivery.attempt()
    assert delivery.failure == "no such page"
    assert delivery.attempt(), delivery.failure
    run_id = outbox.progress.run_id or ""
    assert str(model_of(database, run_id).status) == "READY"
    assert client(database).search_model_versions(f"run_id = '{run_id}'")


@pytest.mark.parametrize("method", ["search_logged_models", "create_registered_model"])
def test_a_model_is_set_aside_if_the_server_takes_none(
    database: str, tmp_path: Path, caplog, method: str
) -> None:
    outbox = model_outbox(database, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        let_fail(patch, "ENDPOINT_NOT_FOUND", method)
        assert Delivery(outbox).attempt()
    assert "the server takes no model: no such page" in caplog.text
    assert (tmp_path / "outbox/damaged" / outbox.folder.name / "records.jsonl").is_file()


def test_a_full_disk_leaves_the_files_of_a_model_as_they_are(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.models import Model

    outbox = model_outbox(database, tmp_path)
    delivery, save = Delivery(outbox), Model.save

    def fill_disk(model: Model, path: str) -> None:
        Path(path).write_text("flav")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Model, "save", fill_disk)
    assert not delivery.attempt()
    monkeypatch.setattr(Model, "save", save)
    assert delivery.attempt(), delivery.failure
    model = model_of(database, outbox.progress.run_id or "")
    files = client(database).list_logged_model_artifacts(model.model_id)
    assert {file.path for file in files} == {"MLmodel", "data"}


def test_a_model_is_identified_in_a_file_of_its_own(database: str, tmp_path: Path) -> None:
    outbox = model_outbox(database, tmp_path)  # its files are links
    before = (tmp_path / "model/MLmodel").read_text()
    assert Delivery(outbox).attempt()
    assert (tmp_path / "model/MLmodel").read_text() == before
