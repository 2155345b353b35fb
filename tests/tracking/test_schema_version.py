"""A local database that another version of MLflow has written is refused before a run begins."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sweeper.errors import ConfigError
from sweeper.locks import locked_beside
from sweeper.tracking import schema_version
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.schema_version import check_schema
from sweeper.tracking.uri import sqlite_path

OLDER = "cbc13b556ace"


def of_schema(database: str, revision: str) -> str:
    path = sqlite_path(database)
    assert path is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.commit()
    return database


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_version, "SECONDS_OF_CHANGE", 0.0)


def test_a_database_that_is_being_created_is_left_to_mlflow(database: str) -> None:
    path = sqlite_path(of_schema(database, OLDER))
    assert path is not None
    with locked_beside(path):
        check_schema(database, path)


def test_a_database_that_is_being_upgraded_is_left_to_mlflow(database: str, monkeypatch) -> None:
    of_schema(database, OLDER)
    monkeypatch.setattr(schema_version.time, "sleep", lambda _: of_schema(database, "0" * 12))
    check_schema(database, sqlite_path(database))


def test_mlflows_own_database_passes(database: str) -> None:
    check_schema(database, sqlite_path(database))


@pytest.mark.parametrize(
    ("revision", "message"),
    [(OLDER, "an older MLflow .* type mlflow db upgrade {uri}"),
     ("ffffffffffff", "a newer MLflow .* upgrade the package mlflow")],
)  # fmt: skip
def test_a_run_with_a_database_of_another_version_is_refused(
    ran, refuses, database: str, tmp_path: Path, revision: str, message: str
) -> None:
    uri = of_schema(database, revision)
    with refuses(ConfigError, message.format(uri=uri)):
        ran("tracking=mlflow", f"tracking.uri={uri}")
    assert list(tmp_path.rglob("*.*")) == []


def test_records_for_a_database_of_an_older_version_stay_and_name_the_command(
    database: str, tmp_path: Path
) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("start", {"uri": of_schema(database, OLDER), "experiment": "old"})
    delivery = Delivery(outbox)
    assert not delivery.attempt()
    assert delivery.failure is not None
    assert "an older MLflow" in delivery.failure


@pytest.mark.parametrize("content", [b"no database", bytes(range(256)) * 16, b"SQLite format 3\0"])
def test_records_for_a_file_that_is_no_database_stay_until_it_is_moved_away(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    outbox = Outbox.create(tmp_path / "outbox")
    body = {"name": "", "run_id": None, "params": {}, "tags": {}, "dataset": None}
    outbox.append("start", body | {"uri": f"sqlite:///{path}", "experiment": "new"})
    delivery = Delivery(outbox)
    assert not delivery.attempt()
    assert delivery.failure == f"file is not a database: move {path} away first"
    assert path.read_bytes() == content
    path.rename(tmp_path / "away.db")
    assert delivery.attempt(), delivery.failure


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_other_files_are_left_to_mlflow(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mlflow.db"
    if content is not None:
        path.write_bytes(content)
    check_schema(f"sqlite:///{path}", path)
