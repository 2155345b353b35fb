"""MLflow's system metrics go the way of a run's other metrics."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from sweeper.errors import ConfigError
from sweeper.tracking import system_metrics
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.system_metrics import SystemMetrics
from sweeper.tracking.tracker import RunInfo


def test_a_run_that_ends_while_mlflow_is_imported_has_a_sample(
    database: str, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    tracker = MLflowTracker(database, folder=tmp_path, system_metrics=True)
    tracker.start(RunInfo("measured"))
    tracker.finish("FINISHED")
    assert tracker.run_id is not None
    client = MlflowClient(database)
    history = client.get_metric_history(tracker.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in history] == list(range(len(history)))
    assert history
    names = client.get_run(tracker.run_id).data.metrics
    assert {"system/system_memory_usage_megabytes", "system/disk_usage_percentage"} <= set(names)


def test_the_measurements_are_regular_and_the_last_one_is_at_the_end(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.001")
    third, steps = threading.Event(), []

    def log_metrics(metrics: Mapping[str, float], step: int) -> None:
        steps.append(step)
        if step == 2:
            third.set()

    measuring = SystemMetrics(log_metrics)
    assert third.wait(60)
    n = len(steps)
    measuring.finish()
    assert steps == list(range(len(steps)))
    assert len(steps) > n


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(system_metrics, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs psutil, .* type python -m pip install psutil"):
        MLflowTracker("http://localhost:1", folder=tmp_path, system_metrics=True)


def test_a_run_goes_on_when_the_measurements_fail(
    database: str, tmp_path: Path, monkeypatch, caplog
) -> None:
    from mlflow import MlflowClient

    def fail() -> list[object]:
        raise RuntimeError("the driver\nis gone")

    monkeypatch.setattr(system_metrics, "_monitors", fail)
    tracker = MLflowTracker(database, folder=tmp_path, system_metrics=True)
    tracker.start(RunInfo("unmeasured"))
    tracker.finish("FINISHED")
    assert tracker.run_id is not None
    assert MlflowClient(database).get_run(tracker.run_id).info.status == "FINISHED"
    assert "tracking: the system metrics ended: the driver is gone" in caplog.messages
