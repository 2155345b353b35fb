from pathlib import Path

import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.elsewhere.address import address, open_existing
from sweeper.sweep.storage_place import absolute, file_of, is_in_memory


@pytest.mark.parametrize(
    ("storage", "expected", "file"),
    [
        ("sqlite:///x.db", "sqlite:////a/x.db", "/a/x.db"),
        ("sqlite:////b/x.db", "sqlite:////b/x.db", "/b/x.db"),
        ("sqlite+pysqlite:///x.db?timeout=3", "sqlite+pysqlite:////a/x.db?timeout=3", "/a/x.db"),
        ("sqlite:///file:x.db?uri=true", "sqlite:///file:/a/x.db?uri=true", "/a/x.db"),
        ("logs/x.log", "/a/logs/x.log", "/a/logs/x.log"),
        ("postgresql://h/x", "postgresql://h/x", None),
    ],
)
def test_a_relative_path_is_below_the_folder_of_the_command(storage, expected, file) -> None:
    assert absolute(storage, Path("/a")) == expected
    assert file_of(expected) == (Path(file) if file else None)
    assert address(absolute(expected, Path("/b"))) == address(expected)


@pytest.mark.parametrize(
    ("names", "name", "found"),
    [("a", None, "a"), ("ab", "b", "b"), ("ab", None, None), ("", None, None), ("a", "b", None)],
)
def test_a_study_is_opened_by_its_name_or_because_it_is_the_only_one(
    tmp_path, refuses, names, name, found
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    for each in names:
        optuna.create_study(study_name=each, storage=url)
    (tmp_path / "x.db").touch()
    if found:
        assert open_existing(url, name)[0] == found
    else:
        with refuses(ConfigError, f"choose from {', '.join(names) or 'none'}"):
            open_existing(url, name)


def test_a_storage_that_is_an_object_may_tell_its_file(tmp_path) -> None:
    log = optuna.storages.journal.JournalFileBackend(f"{tmp_path}/x.log")
    assert file_of(optuna.storages.JournalStorage(log)) == tmp_path / "x.log"
    assert file_of(optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/x.db")) == tmp_path / "x.db"
    assert file_of(optuna.storages.InMemoryStorage()) is None


@pytest.mark.parametrize(
    ("storage", "is_so"),
    [
        ("sqlite://", True),
        ("sqlite:///", True),
        ("sqlite:///:memory:", True),
        ("sqlite+pysqlite:///:memory:?timeout=3", True),
        ("sqlite:///file::memory:?cache=shared&uri=true", True),
        ("sqlite:///file:x?mode=memory&cache=shared&uri=true", True),
        ("sqlite:///x.db", False),
        ("sqlite:////x.db?timeout=3", False),
        ("postgresql://host", False),
        ("mysql:///", False),
        ("x.log", False),
    ],
)
def test_a_database_in_memory_is_known_by_its_url(storage, is_so) -> None:
    assert is_in_memory(storage) == is_so
