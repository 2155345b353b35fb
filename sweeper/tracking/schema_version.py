"""The check of a local MLflow database: whether the installed MLflow can read its tables.

MLflow itself says so only when it opens the database, two seconds later and in another thread.
"""

import contextlib
import re
import shlex
import sqlite3
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sweeper.errors import ConfigError

_MIGRATIONS = Path("store", "db_migrations", "versions")
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=]*=\s*["'](\w+)["']""", re.MULTILINE)


def check_schema(uri: str, database: Path | None) -> None:
    """Check that the tables of a database are those of the installed MLflow.

    A file that does not exist, is empty or cannot be read now is left to MLflow.

    Args:
        uri: The tracking URI, for the message.
        database: The file of an SQLite database; None for a server, which is not asked.

    Raises:
        ConfigError: an older or a newer MLflow has written the database.
    """
    found = None if database is None else _revision_of(database)
    known, newest = _revisions()
    if found is None or not known or found == newest:
        return
    own = f"MLflow {version('mlflow')}"
    if found in known:
        raise ConfigError(
            f"tracking.uri={uri}: an older MLflow has written this database (its schema is "
            f"{found}, and {own} needs {newest}); copy the file, then type "
            f"mlflow db upgrade {shlex.quote(uri)}"
        )
    raise ConfigError(
        f"tracking.uri={uri}: a newer MLflow has written this database (its schema is {found}, "
        f"which {own} does not know); type pip install --upgrade mlflow, or tracking.uri="
        "sqlite:///FILE.db with another file"
    )


def _revision_of(database: Path) -> str | None:
    if not database.is_file():
        return None
    address = f"{database.absolute().as_uri()}?mode=ro"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(address, timeout=1, uri=True)) as connection,
    ):
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        return str(rows[0][0]) if len(rows) == 1 else None
    return None


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
