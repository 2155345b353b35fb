"""Which MLflow server or database a run is recorded in."""

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from sweeper.errors import ConfigError

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SQLITE = "sqlite:///"


def resolve_uri(uri: str | None, folder: Path) -> str:
    """Return the tracking URI, absolute; raises ConfigError for one that MLflow cannot use.

    Without an argument it is `MLFLOW_TRACKING_URI`, without that `mlflow.db` in `folder`: the
    place where `mlflow ui` looks when it is started there.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    if uri.startswith("sqlite:"):
        return _absolute(uri, folder)
    if not _usable(uri):
        raise _error(uri)
    return uri


def sqlite_path(uri: str) -> Path | None:
    """Return the database file of an SQLite URI, None for any other."""
    path, _, _ = uri.removeprefix(_SQLITE).partition("?")
    return Path(unquote(path)) if uri.startswith(_SQLITE) else None


def without_password(text: str) -> str:
    """Return a URI, or a message that quotes one, as it may be shown."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _absolute(uri: str, folder: Path) -> str:
    path = sqlite_path(uri)
    if path is None or not path.name:
        raise _error(uri)
    path = folder / path
    if not path.parent.is_dir():
        raise ConfigError(
            f"tracking.uri={uri}: the folder {path.parent} does not exist; make it, or name a "
            "database file in a folder that does."
        )
    return f"{_SQLITE}{quote(str(path))}"


def _usable(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError:
        return False
    return uri == "databricks" or parts.scheme == "databricks" or _has_host(parts)


def _has_host(parts: SplitResult) -> bool:
    dialect = parts.scheme.partition("+")[0]
    return dialect in (*_SERVERS, *_DATABASES) and bool(parts.hostname)


def _error(uri: str) -> ConfigError:
    return ConfigError(
        f"tracking.uri={without_password(uri)}: MLflow records to a server or a database; give "
        "http://HOST:PORT, sqlite:///FILE.db or postgresql://USER@HOST/NAME."
    )
