"""The command that delivers what waits: its arguments, and where it finds the database."""

import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeper.tracking.deliver import deliver, main
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.mlflow import MLflowTracker
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.tracker import RunInfo


@pytest.fixture
def delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders of which the command delivers the outbox; nothing is delivered."""
    folders: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweeper.tracking.deliver.hide_arguments", lambda _: None)
    monkeypatch.setattr(
        "sweeper.tracking.deliver.deliver", lambda folder, _: folders.append(folder)
    )
    return folders


def test_the_help_says_what_to_type_line_by_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["deliver.py", "--help"])
    with pytest.raises(SystemExit):
        main()
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m sweeper.tracking.deliver ")
    assert "\nFOLDER may be that outbox itself" in out


@pytest.mark.parametrize(
    ("arguments", "folder"), [([], "."), (["a"], "a"), (["a/outbox"], "a"), (["outbox"], ".")]
)
def test_the_outbox_stands_for_its_folder(
    delivered, tmp_path, monkeypatch, arguments, folder
) -> None:
    (tmp_path / "a" / "outbox").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["deliver", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert delivered == [tmp_path / folder]


def test_a_folder_that_does_not_exist_is_named(delivered, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["deliver", "nowhere"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "nowhere: there is no such folder; type the one in which" in capsys.readouterr().err
    assert delivered == []


def test_the_records_of_a_folder_that_was_moved_are_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Delivery, "attempt", lambda _: False)
        tracker = MLflowTracker(f"sqlite:///{old / 'mlflow.db'}", folder=old)
        tracker.start(RunInfo("digits"))
        tracker.finish("FINISHED")
    old.rename(new)
    assert deliver(new) == 0
    client = MlflowClient(f"sqlite:///{new / 'mlflow.db'}")
    digits = client.get_experiment_by_name("digits")
    assert [run.info.status for run in client.search_runs([digits.experiment_id])] == ["FINISHED"]
    assert not old.exists()


def test_a_database_whose_folder_is_gone_is_not_created(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("start", {"uri": f"sqlite:///{tmp_path}/gone/mlflow.db", "experiment": "digits"})
    outbox.release()
    assert deliver(tmp_path) == 1
    assert "gone, the folder of the MLflow database, does not exist; move it back" in caplog.text
    assert not (tmp_path / "gone").exists()
