"""The check of a local MLflow database: whether the installed MLflow can read its tables.

MLflow itself says so only when it opens the database, two seconds later and in another thread.
"""

import contextlib
import re
import shlex
import sqlite3
import time
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sweeper.errors import ConfigError
from sweeper.locks import beside

_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
SECONDS_OF_CHANGE = 1.0
"""MLflow creates or changes a database in many steps, each of which takes less than this."""
_MIGRATIONS = Path("store", "db_migrations", "versions")
_current: set[Path] = set()
"""The databases that this process has found to be those of the installed MLflow."""
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=]*=\s*["'](\w+)["']""", re.MULTILINE)


def check_schema(uri: str, database: Path | None) -> None:
    """Check that the tables of a database are those of the installed MLflow.

    A file that does not exist, is empty, cannot be read now or is just being created is left to
    MLflow.

    Args:
        uri: The tracking URI, for the message.
        database: The file of an SQLite database; None for a server, which is not asked.

    Raises:
        ConfigError: an older or a newer MLflow has written the database.
    """
    if database is None or database in _current:
        return
    found = _settled_revision(database)
    if found is None:
        return
    known, newest = _revisions()
    if not known or found == newest:
        _current.add(database)
        return
    own = f"MLflow {version('mlflow')}"
    if found in known:
        raise ConfigError(
            f"tracking.uri={uri}: an older MLflow has written this database (its schema is "
            f"{found}, and {own} needs {newest}); type mlflow db upgrade {shlex.quote(uri)} "
            "once you have copied the file"
        )
    raise ConfigError(
        f"tracking.uri={uri}: a newer MLflow has written this database (its schema is {found}, "
        f"which {own} does not know); upgrade the package mlflow, or type tracking.uri="
        "sqlite:///FILE.db with another file"
    )


def require_readable(database: Path) -> None:
    """Check that a file, if it exists, is a database. MLflow would try it again for minutes.

    Raises:
        ConfigError: it is damaged, or something else, or there is no folder for it.
    """
    if not database.parent.is_dir():
        raise ConfigError(
            f"{database.parent}, the folder of the MLflow database, does not exist; move it back"
        )
    try:
        _query(database, "SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
            raise ConfigError(f"{error}: move {shlex.quote(str(database))} away first") from error


def _settled_revision(database: Path) -> str | None:
    """Return the schema of a database, or None if it has none or a process is changing it."""
    if not database.is_file() or beside(database).exists():
        return None
    found = _revision_of(database)
    if found is None or found == _revisions()[1]:
        return found
    time.sleep(SECONDS_OF_CHANGE)  # MLflow's own commands do not know the lock
    return found if _revision_of(database) == found else None


def _revision_of(database: Path) -> str | None:
    with contextlib.suppress(sqlite3.Error):
        rows = _query(database, "SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if len(rows) == 1 else None
    return None


def _query(database: Path, query: str) -> list[tuple[object, ...]]:
    address = f"{database.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, timeout=1, uri=True)) as connection:
        return connection.execute(query).fetchall()


@cache
def _revisions() -> tuple[frozenset[str], str | None]:
    """Return the schemas that the installed MLflow knows, and the one that it needs.

    They are read from its files: to import MLflow takes two seconds.
    """
    package = find_spec("mlflow")
    folders = list(package.submodule_search_locations or ()) if package else []
    own: set[str] = set()
    replaced: set[str] = set()
    for path in (file for folder in folders for file in Path(folder, _MIGRATIONS).glob("*.py")):
        for kind, revision in _REVISION.findall(path.read_text(encoding="utf-8")):
            (own if kind == "revision" else replaced).add(revision)
    newest = own - replaced
    return frozenset(own), newest.pop() if len(newest) == 1 else None
