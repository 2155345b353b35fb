"""The tracking URI: the MLflow server or database in which a run is recorded."""

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from sweeper.errors import ConfigError

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SQLITE = "sqlite:///"


def resolve_uri(uri: str | None, folder: Path) -> str:
    """Return a tracking URI in which the path of an SQLite database is absolute.

    If `uri` is None it is the environment variable `MLFLOW_TRACKING_URI`, or `mlflow.db` in
    `folder` if that is not set. `mlflow ui`, started in `folder`, finds this database.

    Raises:
        ConfigError: MLflow cannot use the URI, or the folder of the database does not exist.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    if uri.startswith("sqlite:"):
        return _absolute(uri, folder)
    if not _is_usable(uri):
        raise _unusable(uri)
    return uri


def sqlite_path(uri: str) -> Path | None:
    """Return the database file of an SQLite URI, or None for any other URI."""
    path, _, _ = uri.removeprefix(_SQLITE).partition("?")
    return Path(unquote(path)) if uri.startswith(_SQLITE) else None


def without_password(text: str) -> str:
    """Return a text with "***" in place of the passwords in its URIs."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _absolute(uri: str, folder: Path) -> str:
    path = sqlite_path(uri)
    if path is None or not path.name:
        raise _unusable(uri)
    path = folder / path
    if not path.parent.is_dir():
        raise ConfigError(
            f"tracking.uri={uri}: the folder {path.parent} does not exist; create it, or type "
            "tracking.uri=sqlite:///FILE.db with a file in a folder that exists."
        )
    return f"{_SQLITE}{quote(str(path))}"


def _is_usable(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  (the property raises ValueError for a bad port)
    except ValueError:
        return False
    return uri == "databricks" or parts.scheme == "databricks" or _has_host(parts)


def _has_host(parts: SplitResult) -> bool:
    dialect = parts.scheme.partition("+")[0]
    return dialect in (*_SERVERS, *_DATABASES) and bool(parts.hostname)


def _unusable(uri: str) -> ConfigError:
    return ConfigError(
        f"tracking.uri={without_password(uri)}: this is no server or database that MLflow can "
        "use; type http://HOST:PORT, sqlite:///FILE.db or postgresql://USER@HOST/NAME."
    )
