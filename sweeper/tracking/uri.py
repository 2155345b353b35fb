"""The tracking URI: the MLflow server or database in which a run is recorded."""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from sweeper.errors import ConfigError
from sweeper.secrets import (
    MASK,
    ODD_PASSWORD,
    connectable,
    is_ambiguous,
    masked_uri,
    remember,
    revealed,
)
from sweeper.text import in_one_line, to_install, to_install_extra
from sweeper.tracking.schema_version import check_schema

_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SQLITE = "sqlite:///"
_KEY = "tracking.uri"
_POSTGRES_DRIVERS = ("psycopg", "psycopg2")
"""What the extra `postgres` of this package installs."""
_DRIVER_PACKAGES = {
    "mysqldb": "mysqlclient",
    "mysqlconnector": "mysql-connector-python",
}
"""Packages that do not have the name of the driver in SQLAlchemy."""


def resolve_uri(uri: str | None, folder: Path) -> str:
    """Return a tracking URI in which the path of an SQLite database is absolute.

    If `uri` is None it is the environment variable `MLFLOW_TRACKING_URI`, or `mlflow.db` in
    `folder` if that is not set. `mlflow ui`, started in `folder`, finds this database.

    Raises:
        ConfigError: MLflow cannot use the URI, the folder of the database does not exist, another
            version of MLflow has written it, or the driver of the database is not installed.
    """
    key = "MLFLOW_TRACKING_URI" if not uri and os.environ.get("MLFLOW_TRACKING_URI") else _KEY
    uri = revealed(uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db")
    uri = with_password(uri, ())  # a command that was printed has *** in place of the password
    remember(uri)
    if uri.startswith("sqlite:"):
        return _absolute(uri, folder, key)
    if is_ambiguous(uri):
        raise ConfigError(f"{key}={masked_uri(uri)}: {ODD_PASSWORD}")
    if not _is_usable(connectable(uri)):
        raise _unusable(uri, key)
    check_driver(key, connectable(uri))
    return connectable(uri)


def check_driver(key: str, uri: str) -> None:
    """Check that the Python package is installed through which SQLAlchemy opens a database.

    key: the key of the config, or the variable, whose value is `uri`. A URI that is no
        database's passes.

    Raises:
        ConfigError: the package is not installed.
    """
    if urlsplit(uri).scheme in (*_SERVERS, "sqlite", "databricks"):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        dialect = make_url(uri).get_dialect()
    except (ArgumentError, ValueError):
        return  # SQLAlchemy knows no such database; the caller's own check says more
    try:
        dialect.import_dbapi()
    except ImportError as error:
        driver = dialect.driver
        raise ConfigError(
            f"{key}={masked_uri(uri)}: the driver {driver} cannot be imported "
            f"({in_one_line(error)}); {_installing(driver)}"
        ) from error


def _installing(driver: str) -> str:
    if driver in _POSTGRES_DRIVERS:
        return to_install_extra("postgres")
    return to_install(_DRIVER_PACKAGES.get(driver, driver))


def sqlite_path(uri: str) -> Path | None:
    """Return the database file of an SQLite URI, or None for any other URI."""
    path, _, _ = uri.removeprefix(_SQLITE).partition("?")
    return Path(unquote(path)) if uri.startswith(_SQLITE) else None


def relative_uri(uri: str, folder: Path) -> str:
    """Return a URI in which the path of an SQLite database in `folder` is relative to it.

    Such a URI is right after the folder was moved, too.
    """
    path = sqlite_path(uri)
    if path is None or ".." in path.parts or not path.is_relative_to(folder):
        return uri
    return _with_path(uri, path.relative_to(folder))


def absolute_uri(uri: str, folder: Path) -> str:
    """Return a URI of `relative_uri` with the absolute path of the database."""
    path = sqlite_path(uri)
    return uri if path is None else _with_path(uri, folder / path)


def with_password(uri: str, candidates: Iterable[str]) -> str:
    """Return the URI that a record holds, with its password.

    candidates: URIs with a password; `MLFLOW_TRACKING_URI` is one of them in any case.

    Raises:
        ConfigError: none of the candidates is this URI.
    """
    if MASK not in uri or masked_uri(uri) != uri:
        return uri
    for candidate in [*candidates, os.environ.get("MLFLOW_TRACKING_URI", "")]:
        if masked_uri(candidate) == uri:
            return connectable(candidate)
    raise ConfigError(
        f"the password of {uri} is not on record: type it in place of {MASK}, or set "
        "MLFLOW_TRACKING_URI to the URI with its password"
    )


def _absolute(uri: str, folder: Path, key: str) -> str:
    path = sqlite_path(uri)
    if path is None or not path.name:
        raise _unusable(uri, key)
    path = folder / path
    if not path.parent.is_dir():
        raise ConfigError(
            f"{key}={masked_uri(uri)}: the folder {path.parent} does not exist; create it, "
            "or type tracking.uri=sqlite:///FILE.db with a file in a folder that exists."
        )
    uri = _with_path(uri, path)
    check_schema(uri, path)
    return uri


def _with_path(uri: str, database: Path) -> str:
    """Return an SQLite URI with another path, and with what follows a question mark in it."""
    _, mark, query = uri.partition("?")
    return f"{_SQLITE}{quote(database.as_posix(), safe='/:')}{mark}{query}"  # of a drive too


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


def _unusable(uri: str, key: str) -> ConfigError:
    return ConfigError(
        f"{key}={masked_uri(uri)}: this is no server or database that MLflow can "
        "use; type http://HOST:PORT, sqlite:///FILE.db or postgresql://USER@HOST/NAME."
    )
