"""Locks between processes. The system releases a lock when the process that holds it ends.

Where there is `flock`, a lock is on a file or a folder itself. Elsewhere, as on Windows, nobody
could then read the file, or move the folder. The lock is on a file beside it, `<name>.lock`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

ARE_BESIDE = fcntl is None
"""True if a lock is on a file beside the one that it is for."""

ENDING = ".lock"


@contextmanager
def locked(path: Path, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Wait for the lock on a folder, or on a file, which is created; hold it in the context.

    shared: others may hold a shared lock at the same time, where locks are not beside their files.

    Raises:
        BlockingIOError: another one holds the lock, and this one does not `wait`.
    """
    if ARE_BESIDE:
        from filelock import Timeout

        try:
            release = _lock_beside(path, timeout=-1 if wait else 0)
        except Timeout as error:
            raise BlockingIOError(f"{path} is locked") from error
        try:
            if not path.is_dir():
                path.touch()
            yield
        finally:
            release()
        return
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # forked processes have copies of it
    finally:
        os.close(descriptor)


@contextmanager
def locked_beside(path: Path) -> Iterator[None]:
    """Wait for the lock on the file beside `path`, and hold it in the context.

    That file exists only meanwhile; `path` itself need not exist.

    Raises:
        OSError: the file cannot be created or locked.
    """
    if ARE_BESIDE:
        release = _lock_beside(path)
        try:
            yield
        finally:
            release()
        return
    lock = beside(path)
    descriptor = _open_locked(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # those that wait for it then see that it is gone
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # forked processes have copies of it
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Return the file beside `path` that is locked for it."""
    return path.with_name(f"{path.name}{ENDING}")


def claim(path: Path, descriptor: int | None = None) -> Callable[[], None] | None:
    """Lock something for as long as this process wants it; return what releases the lock.

    Return None if another process holds it.

    path: what is locked, if locks are beside their files.
    descriptor: the open file that is locked otherwise; the lock ends when all of its copies are
        closed.
    """
    if ARE_BESIDE:
        from filelock import Timeout

        try:
            return _lock_beside(path, timeout=0)
        except Timeout:
            return None
    assert descriptor is not None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return _nothing


def _open_locked(path: Path) -> int:
    """Lock a file, which is created if it does not exist; return its descriptor.

    Not every version of `filelock` can share a file that is removed after use.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):  # the owner before has removed the file
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock_beside(path: Path, timeout: float = -1) -> Callable[[], None]:
    """Lock the file beside a path; return what releases it.

    Raises:
        filelock.Timeout: another process holds it. A negative timeout is none.
    """
    from filelock import FileLock  # only these systems need it

    lock = FileLock(beside(path.absolute()), thread_local=False)
    lock.acquire(timeout=timeout)
    return lock.release


def _nothing() -> None:
    """Do nothing: the lock ends with its file."""
