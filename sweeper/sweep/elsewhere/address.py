"""Where a storage is: the file of a journal or an SQLite database, or the URL of a server."""

from pathlib import Path

from optuna.storages import BaseStorage

from sweeper.secrets import connectable, revealed


def _sqlite(storage: str) -> tuple[str, str] | None:
    """Return the scheme of an SQLite URL and the path of its file, with the query; else None."""
    scheme, slashes, path = storage.partition(":///")
    return (scheme, path) if slashes and scheme.partition("+")[0] == "sqlite" else None


def absolute(storage: str, folder: Path) -> str:
    """Return a storage whose path, if it is relative to `folder`, is absolute."""
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return f"{sqlite[0]}:///{folder / sqlite[1]}"
    return storage if "://" in storage else str(folder / storage)


def file_of(storage: str | BaseStorage) -> Path | None:
    """Return the file of a storage; None for a server."""
    if not isinstance(storage, str):
        return None
    sqlite = _sqlite(storage)
    if sqlite is not None:
        return Path(sqlite[1].partition("?")[0])
    return None if "://" in storage else Path(storage)


def address(storage: str | Path | BaseStorage) -> str:
    """Return what two storages have in common if and only if they are the same."""
    if isinstance(storage, BaseStorage):
        return str(getattr(storage, "url", id(storage)))
    place = file_of(str(storage))
    return str(place.resolve()) if place is not None else connectable(revealed(str(storage)))
