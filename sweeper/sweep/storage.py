"""Storages of studies: a journal file that survives `kill -9`, or any storage of Optuna's.

Optuna locks its journal with a link. A killed process leaves the link behind, and everyone waits
30 s for it. A record that a killed process has written half makes Optuna's journal unreadable.
Here the kernel holds the lock and releases it when the process ends, and the next process to take
the lock removes an incomplete last record.
"""

import copyreg
import json
import os
import time
from collections.abc import Generator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import (
    JournalFileBackend,
    JournalFileOpenLock,
    JournalRedisBackend,
)
from optuna.storages.journal._file import get_lock_file
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial

from sweeper.errors import ConfigError, MovedError, OutageError
from sweeper.locks import locked
from sweeper.secrets import (
    ODD_PASSWORD,
    connectable,
    is_ambiguous,
    masked_uri,
    reduced,
    remember,
    revealed,
    without_password,
)
from sweeper.text import in_one_line
from sweeper.tracking.uri import check_driver

JOURNAL = "journal.log"
"""The journal in the folder of a study that has no other storage."""
JOURNAL_SUFFIX = ".log"
SQLITE_TIMEOUT_SECONDS = 60
CREATION_PAUSES = (0.1, 0.3, 1.0, 2.0)
"""Seconds to wait before a new database is opened again, whose tables another process creates."""
OF_A_RUNNING_TRIAL = {
    JournalOperation.CREATE_TRIAL,
    JournalOperation.SET_TRIAL_PARAM,
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
    JournalOperation.SET_TRIAL_USER_ATTR,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
}
# A storage that is pickled for a worker, which a launcher may write to disk, has no password in it.
copyreg.pickle(RDBStorage, reduced)
copyreg.pickle(JournalRedisBackend, reduced)


class KernelLock(JournalFileOpenLock):
    """Lock on the journal, held by the kernel.

    Acquiring it removes an incomplete last record, which a killed process may have left.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait for the lock."""
        with ExitStack() as held:
            held.enter_context(locked(self._journal))
            _remove_incomplete_record(self._journal)
            self._held = held.pop_all()
        return True

    def release(self) -> None:
        """Release the lock."""
        self._held.close()


class JournalFile(JournalFileBackend):
    """Journal that waits for the disk at the end of a trial only, and names a damaged record.

    The operating system has each record before a write returns, so records outlive their process.
    Waiting for the disk takes longer than all else that a short trial writes. A power cut loses at
    most what the running trials wrote, and these are run again.

    The study may be moved away, and another one begin at the same path. The first record, which
    names the process that wrote it, tells their journals apart.
    """

    def __init__(self, file_path: str, lock_obj: JournalFileOpenLock) -> None:
        super().__init__(file_path, lock_obj)
        self._first = b""
        """The first record; empty until it is known."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, in one step.

        Raises:
            MovedError: the folder is gone, or this is the journal of another study now.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        try:
            with get_lock_file(self._lock), Path(self._file_path).open("a+b") as file:
                file.seek(0)
                self._check_is_the_same(file)
                file.write(lines.encode())
                file.flush()
                if any(log["op_code"] not in OF_A_RUNNING_TRIAL for log in logs):
                    os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise moved(self._file_path) from error

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any]]:
        """Yield the records from a number on.

        Raises:
            ConfigError: a record is no JSON object.
            MovedError: the journal is gone, or is that of another study now.
        """
        try:
            with Path(self._file_path).open("rb") as file:
                self._check_is_the_same(file)
            yield from super().read_logs(log_number_from)
        except FileNotFoundError as error:
            raise moved(self._file_path) from error
        except ValueError as error:
            raise _damaged(Path(self._file_path), error) from error

    def _check_is_the_same(self, file: BinaryIO) -> None:
        """Check that the journal, open at its start, has the first record that it had before.

        Raises:
            MovedError: it has another one, or none.
        """
        first = file.readline()
        if not self._first and first.endswith(b"\n"):
            self._first = first
        elif first != self._first and self._first:
            raise moved(self._file_path)


def moved(place: Path | str) -> MovedError:
    """Return the error of a process whose study is no longer at a place."""
    return MovedError(
        f"{place}: the study of this process is no longer there, since it was moved away, deleted "
        "or replaced; type the study's command to work on the one that is there"
    )


def _damaged(journal: Path, error: Exception) -> ConfigError:
    """Return the error for a journal that holds something that no worker has written."""
    place, reason = "", in_one_line(error)
    for number, line in enumerate(journal.read_bytes().splitlines(), start=1):
        try:
            if not isinstance(json.loads(line), dict):
                raise ValueError("it is no JSON object")
        except ValueError as cause:
            place, reason = f", line {number}", in_one_line(cause)
            break
    return ConfigError(
        f"{journal}{place}: the study's journal is damaged ({reason}); restore the file, or type "
        "study=fresh (hydra.sweeper.study=fresh), which moves the study's folder away and starts "
        "a new study"
    )


def open_storage(
    storage: str | BaseStorage | None, folder: Path, waits: bool = False
) -> BaseStorage:
    """Open a database URL, a journal file (`*.log`), or for None the journal in `folder`.

    waits: wait for a database whose server is away. Workers do. A command does not, so that a
        mistake in the address is an error at once.

    Raises:
        ConfigError: the database cannot be opened, or its driver is not installed.
        OutageError: its server was away for too long.
    """
    if isinstance(storage, BaseStorage):
        _conceal(storage)
        return get_storage(storage)
    if storage is None or storage.endswith(JOURNAL_SUFFIX):
        # A task may change the working folder while the journal is in use.
        return _open_journal((folder / JOURNAL if storage is None else Path(storage)).absolute())
    engine: dict[str, Any] | None = None
    if storage.startswith("sqlite"):
        engine = {"connect_args": {"timeout": SQLITE_TIMEOUT_SECONDS}}
    url = connectable(revealed(storage))
    remember(url)
    check_driver("hydra.sweeper.storage", url)
    from sweeper.sweep.database import DatabaseStorage, Patience  # imports SQLAlchemy

    try:
        opened = partial(_opened_database, url, engine)
        database = get_storage(Patience()(opened) if waits else opened())
    except Exception as error:  # SQLAlchemy, the driver or Optuna
        kind = OutageError if isinstance(error, OutageError) else ConfigError
        # Where the end of the password is unclear, their messages may quote a part of it.
        reason = ODD_PASSWORD if is_ambiguous(url) else _reason(error)
        message = f"hydra.sweeper.storage={masked_uri(url)}: cannot be opened: {reason}"
        raise kind(message) from (None if is_ambiguous(url) else error)
    return DatabaseStorage(database)


def _opened_database(url: str, engine: dict[str, Any] | None) -> RDBStorage:
    """Open a database, and create its tables if it is new.

    Optuna fails if another process creates them at the same time; they are there soon after.
    """
    from sqlalchemy.exc import DBAPIError

    for pause in CREATION_PAUSES:
        try:
            return RDBStorage(url, engine_kwargs=engine)
        except DBAPIError:
            if not _has_tables(url):
                raise
        time.sleep(pause)
    return RDBStorage(url, engine_kwargs=engine)


def _has_tables(url: str) -> bool:
    """Return whether a database can be reached and has tables of Optuna's by now."""
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(url)
    try:
        return inspect(engine).has_table("studies")
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _reason(error: Exception) -> str:
    """Return why a database cannot be opened, in one line."""
    reason = in_one_line(without_password(str(error)))
    if "Can't locate revision" in reason:
        return "it is the database of another program, such as MLflow; a study needs one of its own"
    return reason


def read_trials(storage: BaseStorage, study_id: int) -> list[FrozenTrial]:
    """Return all trials as they are now, though the storage may keep earlier reads.

    Raises:
        MovedError: the storage has no such study any more.
    """
    _refresh(storage)
    try:
        return storage.get_all_trials(study_id, deepcopy=False)
    except KeyError as error:
        raise moved("the study's storage") from error


def read_trial(storage: BaseStorage, trial_id: int) -> FrozenTrial:
    """Return a trial as it is now, though the storage may keep earlier reads."""
    _refresh(storage)
    return storage.get_trial(trial_id)


def _refresh(storage: BaseStorage) -> None:
    refresh = getattr(storage, "refresh", None)
    if refresh is not None:
        refresh()


def _conceal(storage: BaseStorage) -> None:
    """Put the passwords of a storage into the environment, before workers inherit it."""
    for each in (storage, getattr(storage, "_backend", None)):
        if isinstance(each, RDBStorage | JournalRedisBackend):
            reduced(each)


def _open_journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return JournalStorage(JournalFile(str(path), lock_obj=KernelLock(path)))
    except OSError as error:
        reason = in_one_line(error.strerror or error)
        raise ConfigError(f"{path}: the study's journal cannot be opened: {reason}") from error
    except (ConfigError, MovedError):
        raise
    except Exception as error:  # Optuna lets errors of many types through
        raise _damaged(path, error) from error


def _remove_incomplete_record(journal: Path) -> None:
    """Truncate the journal after its last complete line."""
    if not journal.exists():
        return
    with journal.open("r+b", buffering=0) as file:
        end = size = os.fstat(file.fileno()).st_size
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)
