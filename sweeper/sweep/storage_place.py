"""Where a storage is: the file of a journal or of an SQLite database, or the URL of a server."""

from pathlib import Path

from optuna.storages import BaseStorage

_FILE_URI = "file:"


def absolute(storage: str, folder: Path) -> str:
    """Return a storage whose path, if it is relative to `folder`, is absolute."""
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return f"{sqlite[0]}{folder / sqlite[1]}"
    return storage if "://" in storage else str(folder / storage)


def file_of(storage: str | BaseStorage) -> Path | None:
    """Return the file of a storage; None for a server."""
    if not isinstance(storage, str):
        return None
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return Path(sqlite[1].partition("?")[0])
    return None if "://" in storage else Path(storage)


def _sqlite(storage: str) -> tuple[str, str] | None:
    """Return what an SQLite URL has before the path of its file, and that; None for another URL.

    The query is part of the path.
    """
    scheme, slashes, path = storage.partition(":///")
    if not slashes or scheme.partition("+")[0] != "sqlite":
        return None
    uri = _FILE_URI if path.startswith(_FILE_URI) else ""
    return f"{scheme}{slashes}{uri}", path.removeprefix(uri)
