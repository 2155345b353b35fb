"""Storages of studies: a journal file that survives `kill -9`, or any storage of Optuna's.

Optuna locks its journal with a link. A killed process leaves the link behind, and everyone waits
30 s for it. A record that a killed process has written half makes Optuna's journal unreadable.
Here the kernel holds the lock and releases it when the process ends, and the next process to take
the lock removes an incomplete last record.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

SQLITE_TIMEOUT_SECONDS = 60


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel releases it when the process ends."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class KernelLock(JournalFileOpenLock):
    """Lock on the journal, held by the kernel.

    Acquiring it removes an incomplete last record, which a killed process may have left.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        descriptor = os.open(self._journal, os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _remove_incomplete_record(descriptor)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_storage(storage: str | BaseStorage | None, folder: Path) -> BaseStorage:
    """Open a database URL, a journal file (`*.log`), or for None the journal in `folder`."""
    if isinstance(storage, BaseStorage):
        return get_storage(storage)
    if storage is None or storage.endswith(".log"):
        return _open_journal(folder / "journal.log" if storage is None else Path(storage))
    engine: dict[str, Any] | None = None
    if storage.startswith("sqlite"):
        engine = {"connect_args": {"timeout": SQLITE_TIMEOUT_SECONDS}}
    return get_storage(RDBStorage(storage, engine_kwargs=engine))


def _open_journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=KernelLock(path)))


def _remove_incomplete_record(descriptor: int) -> None:
    """Truncate the journal after its last complete line."""
    end = size = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
