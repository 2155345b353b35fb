"""Which storages are the same, and how a study that must be there is opened.

No file is created for it.
"""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from sweeper.errors import ConfigError
from sweeper.secrets import connectable, masked_uri, revealed
from sweeper.sweep.finals.stage import without_finals
from sweeper.sweep.storage import open_storage
from sweeper.sweep.storage_place import file_of
from sweeper.text import shortened

MAX_SHOWN = 200  # characters of a list of studies


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
