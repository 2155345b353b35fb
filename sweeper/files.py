"""Files that are replaced in one step, hard links in place of copies, and checksums."""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sweeper.text import in_one_line

CHUNK_BYTES = 1 << 20
"""Bytes that are read at a time."""

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
