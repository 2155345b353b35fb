import errno
import logging
import math
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import servers
from study_side import StudySide
from sweeper import trial
from sweeper.errors import ConfigError
from sweeper.figures.drawing import drawn
from sweeper.figures.histograms import histograms
from sweeper.tracking.deliver import deliver
from sweeper.tracking.delivered import Progress
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.metrics_file import CsvTracker
from sweeper.tracking.mlflow import MLflowTracker, wait_for_trials
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.record_file import RecordFile
from sweeper.tracking.several import SeveralTrackers
from sweeper.tracking.tensorboard import TensorBoardTracker
from sweeper.tracking.tracker import DatasetInfo, NullTracker, Resumed, RunInfo, Tracker

INFO = RunInfo(
    experiment="digits",
    params={"optimizer.lr": "0.1", "long": "x" * 7000, "transform[0]": "flip"},
    tags={"model": "cnn", "odd|<key>": "1"},
    name="n" * 300,
    dataset=DatasetInfo("digits", "abc", "sklearn", '{"train": 1200}'),
)


def client(uri: str):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def record(tracker: MLflowTracker, info: RunInfo = INFO) -> str:
    """Record a short run; return its id."""
    tracker.start(info)
    for step in range(3):
        tracker.log_metrics({"val/loss": 1.0 / (step + 1), "odd": math.nan}, step)
    tracker.finish("FINISHED", "all done")
    assert tracker.run_id is not None
    return tracker.run_id


AWAY = MLflowTracker("http://localhost:1")


@pytest.mark.parametrize(
    "tracker",
    [
        NullTracker(),
        AWAY,
        CsvTracker(),
        TensorBoardTracker(),
        SeveralTrackers(AWAY, TensorBoardTracker()),
    ],
    ids=lambda tracker: type(tracker).__name__,
)
def test_trackers_are_trackers(tracker: Tracker) -> None:
    assert {name for name in vars(Tracker) if name[0] != "_"} <= set(dir(tracker))
    assert (tracker.run_id, tracker.page, tracker.wants_model) == (None, None, False)


def test_a_study_waits_for_all_other_runs_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned = threading.Event()

    def hanging(deliveries: object, closing: object) -> None:
        returned.wait(5)

    monkeypatch.setattr("sweeper.tracking.background.deliver_abandoned", hanging)
    abandoned = Outbox.create(tmp_path / "outbox")
    start = {"uri": database, "name": "n", "experiment": "e", "run_id": None, "history": []}
    abandoned.append("start", start | {"params": {}, "tags": {}, "dataset": None})
    abandoned.release()
    tracker = MLflowTracker(database, flush_seconds=100, folder=tmp_path)
    tracker.start(INFO)
    tracker.deliver_others(since=time.monotonic() - 100)
    assert "hanging" in [thread.name for thread in threading.enumerate()]
    returned.set()
    tracker.finish("FINISHED")


def test_all_records_of_a_run_are_delivered(database: str, tmp_path: Path) -> None:
    run_id = record(MLflowTracker(database, folder=tmp_path))
    run = client(database).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.tags["model"], run.data.tags["odd__key_"]) == ("cnn", "1")
    assert run.info.run_name == "n" * 247 + "..."
    assert run.data.tags["sweeper.end_reason"] == "all done"
    assert run.data.params["optimizer.lr"] == "0.1"
    assert run.data.params["transform_0_"] == "flip"
    assert run.data.params["long"] == "x" * 5997 + "..."
    assert math.isnan(run.data.metrics["odd"])
    assert run.inputs.dataset_inputs[0].dataset.profile == '{"train": 1200}'
    history = client(database).get_metric_history(run_id, "val/loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert not (tmp_path / "outbox").exists()


def test_variables_of_mlflow_without_an_effect_here_have_none(
    database: str, tmp_path: Path, monkeypatch
) -> None:
    other = client(database).create_experiment(f"other {tmp_path.name}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", other)
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.001")
    run = client(database).get_run(record(MLflowTracker(database, folder=tmp_path)))
    assert client(database).get_experiment(run.info.experiment_id).name == "digits"
    assert run.data.metrics.keys() == {"val/loss", "odd"}


def test_an_artifact_has_the_content_that_it_had_when_it_was_logged(
    database: str, tmp_path: Path
) -> None:
    path = tmp_path / "best.pt"
    path.write_text("weights")
    tracker = MLflowTracker(database, folder=tmp_path)
    tracker.start(INFO)
    tracker.log_artifact(path, "checkpoints")
    path.unlink()
    tracker.finish("FINISHED")
    assert tracker.run_id is not None
    fetched = client(database).download_artifacts(tracker.run_id, "checkpoints/best.pt")
    assert Path(fetched).read_text() == "weights"


def test_the_latest_histograms_replace_the_earlier_ones(database: str, tmp_path: Path) -> None:
    tracker = MLflowTracker(database, folder=tmp_path)
    tracker.start(INFO)
    for epoch in (1, 2):
        n_layers = 1 if epoch == 1 else 9  # two rows
        values = {f"layer {i}": np.arange(5, dtype=np.float32) for i in range(n_layers)}
        tracker.log_histograms("weights", values, epoch)
    tracker.finish("FINISHED")
    assert tracker.run_id is not None
    (sheet,) = client(database).list_artifacts(tracker.run_id, "watch")
    assert sheet.path == "watch/weights.png"
    fetched = client(database).download_artifacts(tracker.run_id, sheet.path)
    with Image.open(fetched) as picture:
        assert picture.size == drawn(histograms(values, "Weights after epoch 2")).size


def test_a_full_disk_loses_records_and_says_so_once(
    database: str, tmp_path: Path, monkeypatch, caplog
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tracker = MLflowTracker(database, folder=tmp_path)
    tracker.start(INFO)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryDirectory", fail)
        patch.setattr(RecordFile, "append", fail)
        tracker.log_histograms("weights", {"conv": np.ones(9, np.float32)}, 1)
        tracker.log_metrics({"val/loss": 1.0}, 1)
        tracker.set_tags({"a": "b"})
    assert caplog.messages == ["tracking: records for MLflow are lost (No space left on device)"]
    tracker.log_metrics({"val/loss": 0.5}, 2)
    tracker.finish("FINISHED")
    assert client(database).get_run(tracker.run_id).data.metrics == {"val/loss": 0.5}


@pytest.mark.parametrize(
    ("configured", "variable", "expected"),
    [("mine", None, "mine"), (None, "ours", "ours"), ("mine", "ours", "mine")],
)
def test_the_experiment_is_the_configured_one_or_that_of_mlflows_variable(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    configured: str | None, variable: str | None, expected: str,
) -> None:  # fmt: skip
    if variable is not None:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", variable)
    run_id = record(MLflowTracker(database, configured, folder=tmp_path))
    experiment = client(database).get_experiment_by_name(expected)
    assert client(database).get_run(run_id).info.experiment_id == experiment.experiment_id


def test_a_deleted_experiment_of_the_name_is_restored(database: str, tmp_path: Path) -> None:
    mlflow = client(database)
    mlflow.delete_experiment(mlflow.create_experiment("deleted"))
    record(MLflowTracker(database, "deleted", folder=tmp_path))
    assert mlflow.get_experiment_by_name("deleted").lifecycle_stage == "active"


@pytest.mark.parametrize(
    ("location", "warns"),
    [
        ("former/mlartifacts", True),
        ("copied/mlartifacts", False),  # a database is there too
        ("chosen", False),
    ],
)
def test_artifacts_that_go_to_the_place_before_a_move_cost_one_line(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, location: str, warns: bool
) -> None:
    (tmp_path / "copied").mkdir()
    (tmp_path / "copied/mlflow.db").touch()
    place = tmp_path / location
    client(database).create_experiment("moved", artifact_location=place.as_uri())
    for _ in range(2):
        record(MLflowTracker(database, "moved", folder=tmp_path))
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [str(place) in line and "tracking.experiment=NAME" in line for line in warnings] == (
        [True] if warns else []
    )


def test_a_run_is_continued_under_its_id(database: str, tmp_path: Path) -> None:
    first = record(MLflowTracker(database, folder=tmp_path))
    tracker = MLflowTracker(database, folder=tmp_path)
    tracker.start(replace(INFO, run_id=first))
    tracker.log_metrics({"val/loss": 0.1}, 3)
    tracker.finish("KILLED")
    run = client(database).get_run(first)
    assert tracker.run_id == first
    assert run.info.status == "KILLED"
    assert "sweeper.end_reason" not in run.data.tags
    assert len(client(database).get_metric_history(first, "val/loss")) == 4


@pytest.mark.parametrize("change", ["params", "run_id"])
def test_a_new_run_has_a_tag_for_the_run_that_it_could_not_continue(
    database: str, tmp_path: Path, change: str
) -> None:
    first = record(MLflowTracker(database, folder=tmp_path)) if change == "params" else "0" * 32
    params = {**INFO.params, "optimizer.lr": "0.2" if change == "params" else "0.1"}
    second = record(
        MLflowTracker(database, folder=tmp_path), replace(INFO, run_id=first, params=params)
    )
    assert second != first
    assert client(database).get_run(second).data.tags["sweeper.resumed_from"] == first


@pytest.mark.parametrize("stops_now", [False, True])
def test_a_trial_waits_for_its_delivery_only_if_the_worker_leaves(
    database: str, tmp_path: Path, stops_now: bool
) -> None:
    waited: list[bool] = []

    class Tracked(MLflowTracker):
        def wait(self) -> None:
            super().wait()
            waited.append(True)

    with trial.reported_by(StudySide(stops_now=stops_now)):
        tracker = Tracked(database, folder=tmp_path)
        record(tracker)
        assert bool(waited) is stops_now
    wait_for_trials()
    assert waited == [True]
    assert client(database).get_run(tracker.run_id).info.status == "FINISHED"


def test_a_replayed_outbox_makes_no_second_run_and_no_second_point(
    database: str, tmp_path: Path
) -> None:
    # The process dies after everything has arrived and before anything is marked as delivered.
    outbox = Outbox.create(tmp_path / "outbox")
    body = {"params": {}, "tags": {}, "dataset": None, "run_id": None, "name": None}
    outbox.append("start", {"uri": database, "experiment": "replay", **body})
    outbox.append("metrics", {"metrics": {"loss": 1.0, "odd": math.nan}, "step": 0})
    assert Delivery(outbox).attempt()
    outbox.progress = Progress()
    assert Delivery(outbox).attempt()
    mlflow = client(database)
    experiment = mlflow.get_experiment_by_name("replay")
    runs = mlflow.search_runs([experiment.experiment_id])
    assert len(runs) == 1
    for name in ("loss", "odd"):
        assert len(mlflow.get_metric_history(runs[0].info.run_id, name)) == 1


def test_the_next_run_delivers_the_records_of_a_killed_run(
    database: str, tmp_path: Path, python: str
) -> None:
    script = f"""
import os
from pathlib import Path
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.tracker import RunInfo
tracker = MLflowTracker({database!r}, folder=Path({str(tmp_path)!r}))
tracker.start(RunInfo("killed"))
tracker.log_metrics({{"loss": 1.0}}, 0)
os._exit(9)
"""
    assert subprocess.run([python, "-c", script], check=False).returncode == 9
    record(MLflowTracker(database, folder=tmp_path))
    mlflow = client(database)
    experiment = mlflow.get_experiment_by_name("killed")
    (run,) = mlflow.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == ("KILLED", {"loss": 1.0})
    assert not (tmp_path / "outbox").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot write records"):
        MLflowTracker("http://localhost:1", folder=tmp_path)


@pytest.mark.parametrize("experiment", [None, "digits"])
def test_an_experiment_without_a_path_is_refused_on_databricks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, experiment: str | None
) -> None:
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    with pytest.raises(ConfigError, match="type tracking.experiment=/Users/"):
        MLflowTracker("databricks", experiment, folder=tmp_path)
    assert MLflowTracker("databricks", "/Users/ada/digits", folder=tmp_path).uri == "databricks"


def test_nothing_is_recorded_after_finish(database: str, tmp_path: Path) -> None:
    tracker = MLflowTracker(database, folder=tmp_path)
    record(tracker)
    tracker.finish("FAILED")
    assert client(database).get_run(tracker.run_id).info.status == "FINISHED"
    with pytest.raises(RuntimeError, match="only between start"):
        tracker.log_metrics({"loss": 1.0}, 0)


@pytest.fixture
def port() -> int:
    return servers.free_port()


def run_without_server(port: int, folder: Path) -> MLflowTracker:
    """Record a run while no server listens on the port."""
    tracker = MLflowTracker(f"http://127.0.0.1:{port}", folder=folder)
    tracker.start(INFO)
    tracker.log_metrics({"loss": 1.0}, 0)
    path = folder / "notes.txt"
    path.write_text("kept")
    tracker.log_artifact(path)
    tracker.finish("FINISHED")
    return tracker


def test_a_run_without_its_server_ends_with_one_warning(
    port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        tracker = run_without_server(port, tmp_path)
    (warning,) = caplog.messages
    assert str(tmp_path / "outbox") in warning
    assert "\n" not in warning
    (outbox,) = (tmp_path / "outbox").iterdir()
    assert tracker.run_id == outbox.name  # the key, until the server gives the run an id
    assert capfd.readouterr().err == ""


def test_pending_records_are_delivered_once_the_server_is_up(
    port: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_without_server(port, tmp_path)
    assert deliver(tmp_path) == 1
    home = tmp_path_factory.mktemp("server")
    with servers.mlflow(home, "server", "--workers", "1", port=port) as url:
        assert deliver(tmp_path) == 0
        mlflow = client(url)
        experiment = mlflow.get_experiment_by_name("digits")
        (run,) = mlflow.search_runs([experiment.experiment_id])
        assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 1.0})
        assert [file.path for file in mlflow.list_artifacts(run.info.run_id)] == ["notes.txt"]
        assert not (tmp_path / "outbox").exists()


def test_two_processes_create_the_database_at_once(tmp_path: Path, python: str) -> None:
    script = """
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.tracker import RunInfo
tracker = MLflowTracker(flush_seconds=120)
tracker.start(RunInfo("digits"))
tracker.finish("FINISHED")
"""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": ""}
    processes = [
        subprocess.Popen([python, "-c", script], cwd=tmp_path, env=environment) for _ in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    mlflow = client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = mlflow.search_runs([mlflow.get_experiment_by_name("digits").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert not (tmp_path / "outbox").exists()


def test_a_run_that_continues_a_deleted_one_begins_with_its_epochs(
    database: str, tmp_path: Path
) -> None:
    resumed = Resumed(tmp_path, [{"val/loss": 2.0}])
    gone = replace(INFO, run_id="f" * 32, resumed=resumed)
    run_id = record(MLflowTracker(database, folder=tmp_path), gone)
    history = client(database).get_metric_history(run_id, "val/loss")
    assert (1, 2.0) in {(point.step, point.value) for point in history}
