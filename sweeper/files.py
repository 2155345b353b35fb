"""Files that are replaced in one step, folders for what is not complete, links, and checksums."""

import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sweeper.locks import ARE_BESIDE, locked
from sweeper.text import in_one_line

CHUNK_BYTES = 1 << 20
"""Bytes that are read at a time."""

SCRATCH = ".partial-"
_OWNER = "owner"
"""The file in a scratch folder that its process locks, with the name of its host."""

PLAIN_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""Flags for `os.open` where the system has them: follow no symbolic link, keep line ends."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and move the file written there to `path` at the end.

    Readers see either the old file or the whole new one. After an exception the old file is
    unchanged. After a power cut the new one may be damaged, since nothing waits for the disk.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # a killed process of the same number may have left a link
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, and remove it at the end, with what is still in it.

    The folders of processes that were killed on this host are removed too. The system has released
    their locks. Not every file system shows the locks of other hosts, or has any.

    Raises:
        OSError: no folder can be made.
    """
    with ExitStack() as stack:
        if not ARE_BESIDE:
            _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=SCRATCH))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if not ARE_BESIDE:
            with suppress(OSError):
                stack.enter_context(locked(folder / _OWNER, wait=False))
                (folder / _OWNER).write_text(socket.gethostname(), encoding="utf-8")
        yield folder


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{SCRATCH}*"):
        owner = folder / _OWNER
        with suppress(OSError, UnicodeDecodeError):
            # The name is written under the lock, so a folder that is being made has none. A pipe,
            # which a folder from elsewhere may have, would be read for ever.
            if owner.is_file() and owner.read_text(encoding="utf-8") == socket.gethostname():
                with locked(owner, wait=False):
                    shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by a file with this text, in one step."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link to the file `source`, or a copy if links are not possible.

    An existing `target` is replaced. The content of a link changes if `source` is later written in
    place; it does not change if `source` is replaced by another file.
    """
    with replacing(Path(target)) as partial:
        try:
            os.link(source, partial)
        except OSError:  # `target` is on another file system, or hard links are not supported
            shutil.copy2(source, partial)


def crc32_of(file: BinaryIO, nbytes: int, start: int = 0) -> int:
    """Return the CRC-32 of the next `nbytes` bytes of a file; `start` is that of bytes before them.

    The file is read, not mapped: a disk that fails to read is then an error and not a signal that
    ends the process.

    Raises:
        OSError: the file cannot be read.
        EOFError: the file is shorter.
    """
    crc, buffer = start, memoryview(bytearray(min(nbytes, CHUNK_BYTES)))
    while nbytes:
        count = file.readinto(buffer[: min(nbytes, CHUNK_BYTES)])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"{nbytes} bytes are missing")
        crc = zlib.crc32(buffer[:count], crc)
        nbytes -= count
    return crc


def reason_of(error: OSError) -> str:
    """Return why a file could not be read or written, such as "No space left on device"."""
    return error.strerror or in_one_line(error)
