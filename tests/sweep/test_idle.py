"""A study that is to be moved away."""

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.errors import ConfigError
from sweeper.locks import locked
from sweeper.sweep.budget import Budget
from sweeper.sweep.explain.explanation import EXPLAIN_LOCK
from sweeper.sweep.idle import require_idle, require_movable
from sweeper.sweep.lease import LEASE_KEY, Lease
from sweeper.sweep.storage import open_storage


@pytest.mark.parametrize(
    ("name", "storage", "file"),
    [
        ("s", None, "journal.log"),
        ("s.finals", None, "finals.log"),
        ("s", "own.log", "own.log"),
        ("s.finals", "own.log", "own.log"),
        ("s-explain-0", None, "explain/0/journal.log"),
        ("s-explain-0", "own.log", "own.log"),
        ("s", "own.log", "journal.log"),
        ("s.finals", "own.log", "finals.log"),
    ],
)
def test_a_study_is_not_moved_away_while_a_trial_or_a_final_job_runs(
    tmp_path, refuses, name, storage, file
) -> None:
    place = None if storage is None else str(tmp_path / storage)
    spec = SimpleNamespace(name="s", storage=place, folder=tmp_path, command="")
    require_idle(spec)
    (tmp_path / "explain" / "0").mkdir(parents=True)
    study = optuna.create_study(
        study_name=name, storage=open_storage(str(tmp_path / file), tmp_path)
    )
    study.add_trial(create_trial(value=1.0))
    require_idle(spec)
    lease = {LEASE_KEY: Lease.new().record()}
    study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs=lease))
    with refuses(ConfigError, "study s is running, in process"):
        require_idle(spec)


@pytest.fixture
def elsewhere(tmp_path):
    """Return a study whose trial 0 was begun on another host, and how its lease is written."""
    study = optuna.create_study(study_name="s", storage=open_storage(None, tmp_path))
    lease = replace(Lease.new(seconds=6.0), host="far/boot/1")
    attrs = {LEASE_KEY: lease.record()}
    study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs=attrs))

    def write(**changes) -> None:
        record = replace(lease, **changes).record()
        study._storage.set_trial_system_attr(study.trials[0]._trial_id, LEASE_KEY, record)

    return study, write


def renews(study, write) -> None:
    write(renewals=1)


def ends(study, write) -> None:
    study.tell(0, 1.0)


def begins_another(study, write) -> None:
    lease = {LEASE_KEY: replace(Lease.new(), host="far/boot/1").record()}
    study.add_trial(create_trial(state=TrialState.RUNNING, system_attrs=lease))


@pytest.mark.parametrize("acts", [renews, ends, begins_another])
def test_a_study_is_not_moved_away_while_another_host_runs_it(
    tmp_path, refuses, monkeypatch, caplog, elsewhere, acts
) -> None:
    sleeps = iter([lambda: None, lambda: acts(*elsewhere)])
    monkeypatch.setattr(time, "sleep", lambda _: next(sleeps)())
    spec = SimpleNamespace(
        name="s", storage=None, folder=tmp_path, command="", budget=Budget(1, lease_seconds=3)
    )
    with caplog.at_level("INFO"), refuses(ConfigError, "s is running, in process [0-9]* of far; e"):
        require_idle(spec)
    assert "waiting up to 6 s for a sign of life of study s, which far was running" in caplog.text


def test_a_study_whose_host_died_is_moved_away_once_its_lease_has_lapsed(
    tmp_path, monkeypatch, elsewhere
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr(time, "sleep", sleeps.append)
    spec = SimpleNamespace(
        name="s", storage=None, folder=tmp_path, command="", budget=Budget(1, lease_seconds=30)
    )
    require_idle(spec)
    assert sum(sleeps) == 30


def test_a_study_is_not_moved_away_while_it_is_explained(tmp_path, refuses) -> None:
    spec = SimpleNamespace(name="s", storage=None, folder=tmp_path, command="")
    told = refuses(ConfigError, "study=fresh: python -m sweeper.explain .* is running")
    with locked(tmp_path / EXPLAIN_LOCK, shared=True), told:
        require_idle(spec)
    require_idle(spec)


def test_only_a_folder_of_one_study_alone_may_be_moved_away(tmp_path, refuses, monkeypatch) -> None:
    (tmp_path / "all" / "one").mkdir(parents=True)
    for folder in (tmp_path / "all", tmp_path / "all" / "one"):
        (folder / "study.yaml").touch()
    require_movable(tmp_path / "all" / "one")
    with refuses(ConfigError, "is the folder of other studies too, so it is not moved"):
        require_movable(tmp_path / "all")
    (tmp_path / "all" / "one" / "study.yaml").unlink()
    for deep in ("all/one/two/study.yaml", "all/2/study.yaml"):
        file = tmp_path / deep
        file.parent.mkdir()
        file.touch()
        with refuses(ConfigError, "is the folder of other studies too, so it is not moved"):
            require_movable(tmp_path / "all")
        file.unlink()
    (tmp_path / "all/2/.hydra").mkdir()
    (tmp_path / "all/explain/0").mkdir(parents=True)
    (tmp_path / "all/explain/0/study.yaml").touch()
    require_movable(tmp_path / "all")
    monkeypatch.chdir(tmp_path / "all" / "one")
    for place, words in ((".", "the working folder"), ("..", "a folder above the working folder")):
        with refuses(ConfigError, f"{place} is {words}, so"):
            require_movable(Path(place))
