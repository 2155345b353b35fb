"""Where a storage is, and how a study that must be there is opened: no file is created for it.

A storage is the file of a journal or of an SQLite database, or the URL of a server.
"""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from sweeper.errors import ConfigError
from sweeper.secrets import connectable, masked_uri, revealed
from sweeper.sweep.finals.stage import without_finals
from sweeper.sweep.storage import open_storage
from sweeper.text import shortened

MAX_SHOWN = 200  # characters of a list of studies
_FILE_URI = "file:"


def _sqlite(storage: str) -> tuple[str, str] | None:
    """Return what an SQLite URL has before the path of its file, and that; None for another URL.

    The query is part of the path.
    """
    scheme, slashes, path = storage.partition(":///")
    if not slashes or scheme.partition("+")[0] != "sqlite":
        return None
    uri = _FILE_URI if path.startswith(_FILE_URI) else ""
    return f"{scheme}{slashes}{uri}", path.removeprefix(uri)


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


def address(storage: str | Path | BaseStorage) -> str:
    """Return what two storages have in common if and only if they are the same."""
    if isinstance(storage, BaseStorage):
        return str(getattr(storage, "url", id(storage)))
    place = file_of(str(storage))
    return str(place.resolve()) if place is not None else connectable(revealed(str(storage)))


def check_file(storage: str) -> None:
    """Check that the file of a storage, given with an absolute path, exists.

    Raises:
        ConfigError: there is no such file.
    """
    place = file_of(storage)
    if place is not None and not place.is_file():
        raise ConfigError(
            f"there is no file {masked_uri(str(place))}; put it back, or type another"
        )


def open_existing(storage: str, name: str | None) -> tuple[str, BaseStorage]:
    """Return the name of a study that exists, and its storage.

    Args:
        storage: The storage, with an absolute path.
        name: Name of the study; None for the only one.

    Raises:
        ConfigError: there is no such file or study, or the storage cannot be opened.
    """
    check_file(storage)
    opened = open_storage(storage, Path.cwd())
    names = without_finals(optuna.get_all_study_names(opened))
    if name is None and len(names) == 1:
        return names[0], opened
    if name is None or name not in names:
        wanted = "holds several studies or none" if name is None else f"has no study {name}"
        known = shortened(", ".join(names), MAX_SHOWN) or "none"
        shown = masked_uri(connectable(revealed(storage)))
        raise ConfigError(f"{shown} {wanted}; choose from {known}")
    return name, opened
