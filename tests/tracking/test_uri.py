from pathlib import Path

import pytest

from sweeper.errors import ConfigError
from sweeper.tracking.uri import resolve_uri, sqlite_path, without_password


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (None, "sqlite:///{folder}/mlflow.db"),
        ("sqlite:///runs.db", "sqlite:///{folder}/runs.db"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("postgresql+psycopg2://me@host/runs", "postgresql+psycopg2://me@host/runs"),
        ("databricks", "databricks"),
    ],
)
def test_a_uri_that_mlflow_takes_is_made_absolute(
    tmp_path: Path, uri: str | None, expected: str
) -> None:
    assert resolve_uri(uri, tmp_path) == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        "htp://host",
        "mlruns",
        "file:///mlruns",
        "http://",
        "http://host:port",
        "sqlite://",
        "sqlite:///",
    ],
)
def test_a_uri_that_mlflow_cannot_use_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match=f"tracking.uri={uri}: .* type http://HOST:PORT"):
        resolve_uri(uri, tmp_path)


def test_a_database_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        resolve_uri("sqlite:///nowhere/runs.db", tmp_path)


def test_the_argument_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment")
    assert resolve_uri("http://argument", tmp_path) == "http://argument"
    assert resolve_uri(None, tmp_path) == "http://environment"


def test_a_folder_with_a_space_survives_the_way_through_the_uri(tmp_path: Path) -> None:
    folder = tmp_path / "my runs"
    folder.mkdir()
    assert sqlite_path(resolve_uri(None, folder)) == folder / "mlflow.db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/x", "postgresql://me:***@host/x"),
        ("POST http://me:se/cr@host:80/x failed", "POST http://me:***@host:80/x failed"),
        ("http://host:80/x", "http://host:80/x"),
    ],
)
def test_a_password_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown
