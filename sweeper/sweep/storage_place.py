"""Where a storage is: in a file of a journal or of SQLite, on a server, or in memory."""

from pathlib import Path

from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

_FILE_URI = "file:"


def absolute(storage: str, folder: Path) -> str:
    """Return a storage whose path, if it is relative to `folder`, is absolute."""
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return f"{sqlite[0]}{folder / sqlite[1]}"
    return storage if "://" in storage else str(folder / storage)


def file_of(storage: str | BaseStorage) -> Path | None:
    """Return the file of a storage; None for a server, or an object that tells no file."""
    storage = url_or_path(storage)
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return Path(sqlite[1].partition("?")[0])
    return None if "://" in storage or not storage else Path(storage)


def lies_in(storage: str | BaseStorage, folder: Path) -> bool:
    """Return whether the file of a storage lies in a folder."""
    file = file_of(storage)
    return file is not None and file.resolve().is_relative_to(folder.resolve())


def is_at(storage: str | BaseStorage | None, path: Path) -> bool:
    """Return whether a storage is in the file at this path."""
    file = None if storage is None else file_of(storage)
    return file is not None and file.resolve() == path.resolve()


def is_in_memory(storage: str | BaseStorage) -> bool:
    """Return whether a storage is in the memory of the process, or thread, that opens it."""
    scheme, _, place = url_or_path(storage).partition("://")
    path, _, query = place.partition("?")
    names_none = path.removeprefix("/").removeprefix(_FILE_URI) in ("", ":memory:")
    is_sqlite = scheme.partition("+")[0] == "sqlite"
    in_sqlite = is_sqlite and (names_none or "mode=memory" in query)
    return in_sqlite or isinstance(storage, InMemoryStorage)


def url_or_path(storage: str | BaseStorage) -> str:
    """Return the URL or path of a storage; empty for an object that tells neither."""
    if isinstance(storage, RDBStorage):
        return str(storage.url)
    backend = getattr(storage, "_backend", None)
    if isinstance(backend, JournalFileBackend):
        return backend._file_path
    return storage if isinstance(storage, str) else ""


def _sqlite(storage: str) -> tuple[str, str] | None:
    """Return what an SQLite URL has before the path of its file, and that; None for another URL.

    The query is part of the path.
    """
    scheme, slashes, path = storage.partition(":///")
    if not slashes or scheme.partition("+")[0] != "sqlite":
        return None
    uri = _FILE_URI if path.startswith(_FILE_URI) else ""
    return f"{scheme}{slashes}{uri}", path.removeprefix(uri)
