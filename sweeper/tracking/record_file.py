"""The file of an outbox that holds its records, one a line."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

from sweeper.files import PLAIN_FILE
from sweeper.tracking import damaged
from sweeper.tracking.records import Record
from sweeper.tracking.scan import Damage, scan

RECORDS = "records.jsonl"


class RecordFile:
    """The open `records.jsonl` of the outbox in `folder`.

    Lines are appended. No byte is moved later, so that the position in `delivered.json` stays true.
    """

    def __init__(self, folder: Path, file: io.FileIO) -> None:
        self._folder, self._file = folder, file

    @classmethod
    def open(cls, folder: Path, flags: int = 0) -> "RecordFile":
        """Open the file for appending, unbuffered.

        Only its user may read it, because records of older versions hold a URI with its password.
        """
        flags |= os.O_RDWR | os.O_APPEND | PLAIN_FILE
        descriptor = os.open(folder / RECORDS, flags, mode=0o600)
        return cls(folder, io.FileIO(descriptor, "a+"))

    def moved(self, folder: Path) -> "RecordFile":
        """Return the same open file after its folder was renamed to `folder`."""
        return RecordFile(folder, self._file)

    def close(self) -> None:
        """Close the file, which may hold the lock on the outbox."""
        self._file.close()

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._file.fileno()

    @property
    def is_closed(self) -> bool:
        """True once `close` was called."""
        return self._file.closed

    @property
    def size(self) -> int:
        """The number of its bytes, with those that another owner has appended."""
        return os.fstat(self.fileno()).st_size

    def append(self, line: bytes) -> None:
        """Append a line, with its end.

        Raises:
            OSError: the disk is full. Nothing was appended.
        """
        before = self.size
        if self._file.write(line) != len(line):
            self._file.truncate(before)  # part of a record would spoil the next one
            raise OSError(f"{self._folder} is on a full disk")

    def end_last_line(self) -> None:
        """Append the end of the last line if it is missing."""
        size = self.size
        if size and self.read(size - 1, size) != b"\n":
            self._file.write(b"\n")

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes between two positions."""
        # The position of `_file` belongs to all of its owners.
        if hasattr(os, "pread"):
            return os.pread(self.fileno(), end - begin, begin)
        with (self._folder / RECORDS).open("rb") as file:
            file.seek(begin)
            return file.read(end - begin)

    def scan(
        self, position: int, with_last_line: bool = False
    ) -> tuple[list[Record], list[Damage]]:
        """Return the records from a position on, and what is damaged; see `scan.scan`."""
        return scan(self.read(position, self.size), position, self._folder, with_last_line)

    def set_aside(self, damages: Sequence[Damage]) -> None:
        """Store copies of damaged bytes, and write blanks over them.

        Raises:
            OSError: a copy cannot be written.
        """
        # What is written to `_file` is appended.
        descriptor = os.open(self._folder / RECORDS, os.O_WRONLY | PLAIN_FILE)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for damage in damages:
                damaged.set_line_aside(self._folder, self.read(damage.begin, damage.end))
                file.seek(damage.begin)
                file.write(b" " * (damage.end - damage.begin))
