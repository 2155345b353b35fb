"""The storage of a study, ready for its workers."""

import time
from types import SimpleNamespace

import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study_storage import _set_aside, common_deadline


@pytest.mark.parametrize(
    ("limit", "seconds_ago", "is_common"), [(60, 10, True), (30, 10, False), (60, 70, False)]
)
def test_a_worker_that_joins_ends_with_its_command_unless_it_has_its_own_limit(
    limit, seconds_ago, is_common
) -> None:
    study, now = optuna.create_study(), time.time()
    begun = now - seconds_ago
    assert common_deadline(study, 60, begun + 60, join=False) == begun + 60
    joined = common_deadline(study, limit, now + limit, join=True)
    assert joined == (begun + 60 if is_common else now + limit)


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("sqlite:///{}/s/x.db", []),
        ("{}/s/x.log", []),
        ("sqlite:///{}/x.db", ["s.{}"]),
        ("{}/x.log", ["s.{}"]),
    ],
)
def test_a_storage_is_moved_with_its_folder_or_keeps_its_study_under_another_name(
    tmp_path, place, names
) -> None:
    storage, folder = place.format(tmp_path), tmp_path / "s"
    folder.mkdir()
    study = optuna.create_study(study_name="s", storage=open_storage(storage, folder))
    StudyCommand("s", storage, (), (), str(tmp_path)).write(study, folder)
    _set_aside(SimpleNamespace(name="s", storage=storage, folder=folder))
    [moved] = tmp_path.glob("s.*")
    found = optuna.get_all_study_names(open_storage(storage, folder))
    assert found == [name.format(moved.suffix[1:]) for name in names]


def test_an_object_that_keeps_a_file_of_the_folder_open_is_refused(tmp_path, refuses) -> None:
    (tmp_path / "s").mkdir()
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/s/x.db")
    study = optuna.create_study(study_name="s", storage=storage)
    StudyCommand.current("s", storage).write(study, tmp_path / "s")
    with refuses(ConfigError, r"study=fresh: the storage lies in .*; type the URL or the path"):
        _set_aside(SimpleNamespace(name="s", storage=storage, folder=tmp_path / "s"))
    assert (tmp_path / "s/x.db").is_file()
