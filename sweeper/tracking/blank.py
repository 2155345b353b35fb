"""A blank MLflow database that is kept from the first folder for the next ones.

MLflow creates a database by repeating every change that its tables have ever had, which takes three
seconds of processor time. A copy of a blank one takes a hundredth of that.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
from importlib.metadata import version
from pathlib import Path

from sweeper.files import replacing

_UNUSABLE = (OSError, sqlite3.Error, RuntimeError)
"""What a cache raises that cannot be used; RuntimeError is for a user without a home."""


def copy_blank(database: Path) -> bool:
    """Copy the blank database of this version of MLflow to `database`, which does not exist.

    Return whether there was a whole one.
    """
    try:
        blank = _place()
        if not _is_whole(blank):
            return False
        with replacing(database) as path:
            shutil.copyfile(blank, path)
    except _UNUSABLE:  # MLflow creates one, and says what is wrong with the folder
        return False
    return True


def keep_blank(database: Path) -> None:
    """Keep a copy of a database that MLflow has just created, without its first experiment.

    MLflow creates that one anew, for it holds the folder in which it was created. A home that
    cannot be written costs time only.
    """
    with contextlib.suppress(*_UNUSABLE):
        blank = _place()
        blank.parent.mkdir(parents=True, exist_ok=True)
        with (
            replacing(blank) as path,
            contextlib.closing(sqlite3.connect(database)) as source,
            contextlib.closing(sqlite3.connect(path)) as copy,
        ):
            source.backup(copy)
            copy.execute("DELETE FROM experiments")
            copy.commit()
            path.chmod(0o600)


def _place() -> Path:
    cache = os.environ.get("SWEEPER_CACHE")
    if not cache:
        cache = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sweeper"))
    return Path(cache, f"mlflow-{version('mlflow')}.db").expanduser().absolute()


def _belongs_to_user_alone(status: os.stat_result) -> bool:
    """Return whether a file is this user's, and nobody else may read it.

    Windows does not say so here; there the cache is in the user's own folder.
    """
    if not hasattr(os, "getuid"):
        return True
    return bool(status.st_uid == os.getuid() and not status.st_mode & 0o177)


def _is_whole(blank: Path) -> bool:
    """Return whether there is a blank database, undamaged, of this user.

    A cache may be shared. A database of somebody else could hold more than tables.
    """
    if not blank.is_file():
        return False
    status = blank.lstat()
    if not stat.S_ISREG(status.st_mode) or not _belongs_to_user_alone(status):
        return False
    with contextlib.closing(sqlite3.connect(f"{blank.as_uri()}?mode=ro", uri=True)) as connection:
        [check] = connection.execute("PRAGMA quick_check").fetchone()
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        [n_tables] = tables.fetchone()
        return bool(check == "ok" and n_tables > 0)
