"""Where studies are kept: a journal file that survives `kill -9`, or any storage Optuna knows.

Optuna's own journal lock is a link that a killed process leaves behind, which stops everyone for
30 s, and a record that a killed process wrote half makes its journal unreadable. Here the kernel
holds the lock, so that it dies with its process, and a torn last record is cut off by the next.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

SQLITE_WAIT_SECONDS = 60


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel lets go of it when the process ends."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class KernelLock(JournalFileOpenLock):
    """The journal's lock, held by the kernel; taking it mends what a killed writer left."""

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        handle = os.open(self._journal, os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        _cut_torn_record(handle)
        self._handle = handle
        return True

    def release(self) -> None:
        """Let go of the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def open_storage(storage: str | BaseStorage | None, folder: Path) -> BaseStorage:
    """Open a database URL, a journal file (`*.log`), or by default the journal in `folder`."""
    if isinstance(storage, BaseStorage):
        return get_storage(storage)
    if storage is None or storage.endswith(".log"):
        return _journal(folder / "journal.log" if storage is None else Path(storage))
    wait: dict[str, Any] = {"timeout": SQLITE_WAIT_SECONDS} if storage.startswith("sqlite") else {}
    engine = {"connect_args": wait} if wait else None
    return get_storage(RDBStorage(storage, engine_kwargs=engine))


def _journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=KernelLock(path)))


def _cut_torn_record(handle: int) -> None:
    """Truncate the journal after its last complete line."""
    end = size = os.fstat(handle).st_size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(handle, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
