import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeper.tracking.store import MLflowStore


@pytest.fixture(autouse=True)
def blank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the blank database, in a cache of this test."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "first").mkdir()
    open_in(tmp_path / "first")
    (path,) = (tmp_path / "cache").iterdir()
    return path


def open_in(folder: Path) -> MlflowClient:
    return MLflowStore(f"sqlite:///{folder / 'mlflow.db'}", folder).client


def test_a_new_database_is_a_copy_of_the_first_one(
    blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "second"
    place.mkdir()
    monkeypatch.chdir(place)
    kept = blank.read_bytes()
    monkeypatch.setattr("mlflow.store.db.utils._upgrade_db", pytest.fail)
    mlflow = open_in(place)
    (default,) = mlflow.search_experiments()
    assert (default.name, default.experiment_id) == ("Default", "0")
    assert default.artifact_location == str(place / "mlruns/0")
    run = mlflow.create_run(mlflow.create_experiment("digits"))
    assert mlflow.get_run(run.info.run_id).info.status == "RUNNING"
    assert blank.read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(5000), b"no database"])
def test_a_damaged_copy_is_not_used(blank: Path, tmp_path: Path, content: bytes) -> None:
    whole = blank.read_bytes()
    blank.write_bytes(content)
    (tmp_path / "second").mkdir()
    assert open_in(tmp_path / "second").search_experiments()
    assert len(blank.read_bytes()) == len(whole)


def test_a_copy_that_others_may_write_is_not_used(blank: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(blank)) as connection:
        connection.execute("CREATE TABLE of_another_user (x)")
    blank.chmod(0o660)
    (tmp_path / "second").mkdir()
    open_in(tmp_path / "second")
    with closing(sqlite3.connect(tmp_path / "second/mlflow.db")) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("of_another_user",) not in tables


def test_a_cache_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file"))
    (tmp_path / "second").mkdir()
    assert open_in(tmp_path / "second").search_experiments()


@pytest.mark.parametrize("cache", ["cache", "~/cache"])
def test_a_cache_may_be_relative_or_in_the_home(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    monkeypatch.setenv("SWEEPER_CACHE", cache)
    for name in ("second", "third"):
        (tmp_path / name).mkdir()
        assert open_in(tmp_path / name).search_experiments()
    assert len(list((tmp_path / "other/cache").iterdir())) == 1


def test_a_user_without_a_home_has_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", "~nobody-of-this-name/cache")
    (tmp_path / "second").mkdir()
    assert open_in(tmp_path / "second").search_experiments()
