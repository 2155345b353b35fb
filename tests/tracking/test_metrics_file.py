"""Runs that are recorded as plain files."""

import csv
import math
from pathlib import Path

import pytest
import yaml

from sweeper.tracking.metrics_file import CsvTracker
from sweeper.tracking.tracker import Resumed, RunInfo


def started(folder: Path, resumed: Resumed | None = None) -> CsvTracker:
    tracker = CsvTracker()
    params = {"optimizer.lr": "0.1", "model": "cnn", "seed": "3", "model.channels": "[8, 16]"}
    folder.mkdir(exist_ok=True)
    tracker.start(RunInfo("digits", params=params, folder=folder, resumed=resumed))
    return tracker


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_each_step_is_a_row_on_disk_at_once_and_a_new_metric_a_column(tmp_path) -> None:
    tracker = started(tmp_path)
    tracker.log_metrics({"val/loss": 0.5}, 1)
    assert rows(tmp_path) == [{"step": "1", "val/loss": "0.5"}]
    tracker.log_metrics({"val/loss": 0.25}, 2)
    tracker.log_metrics({"val/loss": 0.25, "test/loss": 1 / 3}, 2)
    tracker.finish("FINISHED")
    assert rows(tmp_path) == [
        {"step": "1", "val/loss": "0.5", "test/loss": ""},
        {"step": "2", "val/loss": "0.25", "test/loss": repr(1 / 3)},
    ]


def test_params_are_numbers_and_texts(tmp_path) -> None:
    started(tmp_path)
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == {
        "optimizer.lr": 0.1, "model": "cnn", "seed": 3, "model.channels": "[8, 16]",
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["same", "new"])
def test_a_resumed_run_keeps_the_rows_of_its_finished_epochs(tmp_path, folder) -> None:
    tracker = started(tmp_path / "same")
    for epoch in (1, 2, 3):  # killed: epoch 3 is in no checkpoint
        tracker.log_metrics({"val/loss": 9.0, "other": epoch}, epoch)
    history = [{"val/loss": 0.5}, {"val/loss": 0.25}]
    started(tmp_path / folder, Resumed(tmp_path / "same", history)).log_metrics({"val/loss": 0}, 3)
    cells = [(row["step"], row["val/loss"], row["other"]) for row in rows(tmp_path / folder)]
    assert cells == [("1", "0.5", "1.0"), ("2", "0.25", "2.0"), ("3", "0.0", "")]


def test_the_test_scores_alone_of_a_resumed_run_are_dropped(tmp_path) -> None:
    tracker = started(tmp_path)
    tracker.log_metrics({"val/loss": 0.5, "n_parameters": 8, "test/loss": 0.75}, 1)
    started(tmp_path, Resumed(tmp_path, [{"val/loss": 0.5}]))
    assert rows(tmp_path) == [{"step": "1", "val/loss": "0.5", "n_parameters": "8.0"}]


def test_a_file_that_somebody_has_edited_costs_no_more_than_its_own_rows(tmp_path) -> None:
    (tmp_path / "metrics.csv").write_bytes(b"step,val/loss\nmean,0.3\n\n1,0.5,7\n\xff,\n")
    started(tmp_path, Resumed(tmp_path, [{"val/loss": 0.5}]))
    assert rows(tmp_path) == [{"step": "1", "val/loss": "0.5"}]


def test_a_full_disk_is_said_once_and_does_not_end_the_run(tmp_path, monkeypatch, caplog) -> None:
    tracker = started(tmp_path)
    full = OSError(28, "No space left on device")

    def fail(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr("sweeper.tracking.metrics_file.write_text", fail)
        for epoch in (1, 2):
            tracker.log_metrics({"val/loss": 0.5}, epoch)
    assert [record.getMessage() for record in caplog.records] == [
        "tracking: metrics.csv is not up to date (No space left on device)"
    ]
    tracker.log_metrics({"val/loss": math.inf}, 3)
    assert [row["step"] for row in rows(tmp_path)] == ["1", "2", "3"]


def test_a_run_and_the_run_that_resumes_it_record_each_epoch_and_the_test_scores(
    ran, tmp_path
) -> None:
    small = ("tracking=csv", "trainer.train_limit=64", "trainer.val_limit=32", "model=mlp")
    ran(*small, "trainer.epochs=2", folder="half")
    resume = f"resume={tmp_path}/half/checkpoints/last.pt"
    value = ran(*small, "trainer.epochs=3", resume, folder="rest")
    table = rows(tmp_path / "rest")
    assert [row["step"] for row in table] == ["1", "2", "3"]
    assert max(float(row["val/accuracy"]) for row in table) == value
    assert 0 <= float(table[-1]["test/accuracy"]) <= 1
    assert yaml.safe_load((tmp_path / "rest/hparams.yaml").read_text())["trainer.epochs"] == 3
