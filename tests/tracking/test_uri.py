from pathlib import Path

import pytest

from sweeper.errors import ConfigError
from sweeper.tracking.uri import absolute_uri, relative_uri, resolve_uri, sqlite_path, with_password


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (None, "sqlite:///{folder}/mlflow.db"),
        ("sqlite:///runs.db", "sqlite:///{folder}/runs.db"),
        ("sqlite:///runs.db?timeout=60", "sqlite:///{folder}/runs.db?timeout=60"),
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


def test_a_password_is_encoded_so_that_every_library_reads_it(tmp_path: Path) -> None:
    assert resolve_uri("http://me:p@ss/w:d@host", tmp_path) == "http://me:p%40ss%2Fw%3Ad@host"


@pytest.mark.parametrize("uri", ["http://me:12/34@host", "http://me:p@s?s@host:5000"])
def test_a_uri_whose_password_may_end_in_two_places_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking.uri=http://me:\*\*\*@host.*%2F for a /"):
        resolve_uri(uri, tmp_path)


def test_a_printed_uri_takes_its_password_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"type it in place of \*\*\*"):
        resolve_uri("http://me:***@host", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host")
    assert resolve_uri("http://me:***@host", tmp_path) == "http://me:secret@host"


def test_the_password_of_a_record_is_that_of_the_same_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:new@host")
    assert (
        with_password("http://me:***@host", ["http://me:other@elsewhere"]) == "http://me:new@host"
    )
    assert with_password("http://me:***@host", ["http://me:p@s@host"]) == "http://me:p%40s@host"
    for full in ("http://me:old@host", "http://me:with***stars@host"):  # of an older version
        assert with_password(full, []) == full
    with pytest.raises(ConfigError, match=r"http://me:\*\*\*@elsewhere .* MLFLOW_TRACKING_URI"):
        with_password("http://me:***@elsewhere", [])


@pytest.mark.parametrize("uri", ["file:///runs", "sqlite:///nowhere/mlflow.db", "http://a:b"])
def test_what_the_environment_names_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=f"^MLFLOW_TRACKING_URI={uri}: "):
        resolve_uri(None, tmp_path)
    with pytest.raises(ConfigError, match=f"^tracking.uri={uri}: "):
        resolve_uri(uri, tmp_path)


@pytest.mark.parametrize(
    ("uri", "recorded"),
    [
        ("sqlite:////home/me/a%20b/mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:////home/me/a%20b/runs/%25.db", "sqlite:///runs/%25.db"),
        ("sqlite:////home/me/a%20b/../mlflow.db", "sqlite:////home/me/a%20b/../mlflow.db"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("sqlite:////home/me/a%20b/mlflow.db?timeout=60", "sqlite:///mlflow.db?timeout=60"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_database_in_the_start_folder_is_recorded_relative_to_it(uri, recorded) -> None:
    folder = Path("/home/me/a b")
    assert relative_uri(uri, folder) == recorded
    assert absolute_uri(recorded, folder) == uri
