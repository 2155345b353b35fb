import fcntl
import multiprocessing
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from sweeper.errors import ConfigError, MovedError, OutageError
from sweeper.locks import locked
from sweeper.sweep import database
from sweeper.sweep import storage as storage_module
from sweeper.sweep.storage import KernelLock, open_storage, read_trials


@pytest.mark.parametrize("partial", [b'{"op_code": 5, "tri', b"x" * 9000])
def test_a_half_written_record_of_a_killed_process_is_removed(tmp_path, partial) -> None:
    optuna.create_study(study_name="s", storage=open_storage(None, tmp_path))
    journal = tmp_path / "journal.log"
    complete = journal.read_bytes()
    journal.write_bytes(complete + partial)
    study = optuna.load_study(study_name="s", storage=open_storage(None, tmp_path))
    study.ask()
    assert len(optuna.load_study(study_name="s", storage=open_storage(None, tmp_path)).trials) == 1
    assert journal.read_bytes().startswith(complete + b'{"op_code":4')


def hold(path, pipe):
    lock = KernelLock(path)
    lock.acquire()
    pipe.send("held")
    signal.pause()


def test_the_lock_of_a_killed_process_is_released_at_once(tmp_path) -> None:
    receiver, sender = multiprocessing.Pipe()
    holder = multiprocessing.get_context("spawn").Process(
        target=hold, args=(tmp_path / "journal.log", sender)
    )
    holder.start()
    assert receiver.recv() == "held"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    lock = KernelLock(tmp_path / "journal.log")
    assert lock.acquire()
    lock.release()


def test_a_file_lock_is_exclusive(tmp_path) -> None:
    lock = tmp_path / "lock"
    with locked(lock), lock.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("url", ["sqlite:///{}/o.db", "{}/other.log"])
def test_a_storage_can_be_a_url_or_a_path(tmp_path, url) -> None:
    storage = open_storage(url.format(tmp_path), tmp_path / "unused")
    optuna.create_study(study_name="s", storage=storage)
    reopened = open_storage(url.format(tmp_path), tmp_path / "unused")
    assert [s.study_name for s in reopened.get_all_studies()] == ["s"]


def test_a_journal_stays_where_it_is_when_a_task_changes_the_working_folder(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage("studies.log", tmp_path / "unused")
    (tmp_path / "0").mkdir()
    monkeypatch.chdir(tmp_path / "0")
    optuna.create_study(study_name="s", storage=storage)
    reopened = open_storage(str(tmp_path / "studies.log"), tmp_path / "unused")
    assert [s.study_name for s in reopened.get_all_studies()] == ["s"]


def test_only_those_who_wait_open_a_database_whose_server_is_away_for_a_moment(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(database, "PAUSE_SECONDS", 0.0)
    real, away = storage_module.RDBStorage, OperationalError("SELECT 1", {}, Exception("refused"))

    def opened(*args, **kwargs):
        error = next(failures, None)
        if error is not None:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(storage_module, "RDBStorage", opened)
    failures = iter([away])
    with pytest.raises(ConfigError, match=r"cannot be opened: .*refused"):
        open_storage(f"sqlite:///{tmp_path}/o.db", tmp_path)
    failures = iter([away])
    storage = open_storage(f"sqlite:///{tmp_path}/o.db", tmp_path, waits=True)
    assert storage.get_all_studies() == []
    failures = iter([away])
    monkeypatch.setattr(database, "OUTAGE_SECONDS", -1.0)
    with pytest.raises(OutageError, match=r"^hydra\.sweeper\.storage=sqlite.*: .*refused"):
        open_storage(f"sqlite:///{tmp_path}/other.db", tmp_path, waits=True)


def test_two_processes_may_create_a_database_at_the_same_moment(tmp_path) -> None:
    url, ready = f"sqlite:///{tmp_path}/new.db", threading.Barrier(3)

    def opened(_number: int) -> list[str]:
        ready.wait()
        return [s.study_name for s in open_storage(url, tmp_path).get_all_studies()]

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(opened, range(3))) == [[]] * 3


@pytest.mark.parametrize("garbage", [b"garbage\n", b"\x00\xff\n", b"7\n", b'{"op_code": 99}\n'])
@pytest.mark.parametrize("position", [0, 1])
def test_a_damaged_journal_is_named_with_its_remedy(tmp_path, garbage, position) -> None:
    journal = tmp_path / "journal.log"
    optuna.create_study(study_name="s", storage=open_storage(None, tmp_path))
    optuna.load_study(study_name="s", storage=open_storage(None, tmp_path)).ask()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:position], garbage, *lines[position:]]))
    with pytest.raises(ConfigError, match=r"journal.log.*damaged \(.*study=fresh") as refusal:
        open_storage(None, tmp_path)
    assert len(str(refusal.value).splitlines()) == 1


def test_the_journal_waits_for_the_disk_at_the_end_of_a_trial_only(tmp_path, monkeypatch) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(None, tmp_path))
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    trial = study.ask()
    trial.report(trial.suggest_float("x", 0, 1), step=0)
    trial.set_user_attr("a", 1)
    assert synced == []
    study.tell(trial, 1.0)
    assert len(synced) == 1


@pytest.mark.parametrize("there", ["another study", "a folder", "nothing"])
def test_nothing_is_read_from_or_written_to_the_journal_of_another_study(
    tmp_path, refuses, there
) -> None:
    folder, journal = tmp_path / "s", tmp_path / "s" / "journal.log"
    trial = optuna.create_study(study_name="s", storage=open_storage(None, folder)).ask()
    kept = shutil.copytree(folder, tmp_path / "kept") / "journal.log"
    shutil.move(folder, tmp_path / "s.old")
    if there == "another study":
        optuna.create_study(study_name="s", storage=open_storage(None, folder)).ask()
    elif there == "a folder":
        folder.mkdir()
    before = journal.read_bytes() if journal.exists() else b""
    for use in (lambda: trial.report(0.5, 0), lambda: trial.study.trials, trial.study.ask):
        with refuses(MovedError, r"journal\.log: the study .* no longer there, since it was moved"):
            use()
    assert (journal.read_bytes() if journal.exists() else b"") == before
    assert (tmp_path / "s.old/journal.log").read_bytes() == kept.read_bytes()


def test_a_study_that_was_moved_back_goes_on(tmp_path) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(None, tmp_path / "s"))
    shutil.move(tmp_path / "s", tmp_path / "s.old")
    with pytest.raises(MovedError):
        study.ask()
    shutil.move(tmp_path / "s.old", tmp_path / "s")
    assert study.ask().number == 0


def test_the_trials_of_a_study_that_its_database_has_no_more_are_not_read(
    tmp_path, refuses
) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/o.db", tmp_path)
    study = optuna.create_study(study_name="s", storage=storage)
    assert read_trials(storage, study._study_id) == []
    optuna.delete_study(study_name="s", storage=storage)
    with refuses(MovedError, "^the study's storage: .* is no longer there"):
        read_trials(storage, study._study_id)
