"""The records of one run, stored on disk until they are delivered to the tracking server.

    outbox/<time>-<random>/records.jsonl     one record a line; its owner holds a lock on it
                           delivered.json    how much of it is delivered, and the run id
                           files/            the artifacts as they were when they were logged

The owner of an outbox is the process that records or delivers the run. An outbox is abandoned
when its owner has ended and left undelivered records.

`append` hands a record to the operating system before it returns, so the record survives the end
of the process. It does not call fsync, which takes as long as an epoch of a small network; a
power cut may therefore lose records.
"""

import fcntl
import io
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sweeper.files import link_or_copy, write_text
from sweeper.tracking import tags

log = logging.getLogger(__name__)

Operation = Literal["start", "metrics", "tags", "artifact", "finish"]


@dataclass(frozen=True)
class Record:
    """One operation on a run.

    time: milliseconds since 1970.
    end: the offset in the file, in bytes, at which the record ends.
    """

    op: Operation
    time: int
    body: Mapping[str, Any]
    end: int = 0


@dataclass(frozen=True)
class Progress:
    """The progress of a delivery.

    position: the number of bytes of `records.jsonl` that are delivered.
    run_id: the server's id of the run.
    finished: true when the end of the run is delivered.
    """

    position: int = 0
    run_id: str | None = None
    finished: bool = False


class Outbox:
    """The records of one run; this process holds the lock on them."""

    def __init__(self, folder: Path, file: io.FileIO) -> None:
        self.folder = folder
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._n_files = 0
        self.progress = _read_progress(folder)

    @classmethod
    def create(cls, parent: Path) -> "Outbox":
        """Create an empty outbox below `parent`.

        Raises:
            OSError: the folder cannot be written.
        """
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
        # Locked before it has its final name, so that no process finds it without an owner.
        staged = _make_folder(parent / f"{name}.new")
        file = _open(staged / "records.jsonl", os.O_CREAT)
        fcntl.flock(file, fcntl.LOCK_EX)
        return cls(staged.rename(parent / name), file)

    @classmethod
    def take_over(cls, folder: Path) -> "Outbox | None":
        """Become the owner of an abandoned outbox.

        Return None if the outbox has a live owner, belongs to another user or does not exist.
        """
        try:
            file = _open(folder / "records.jsonl")
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        if not (folder / "records.jsonl").exists():  # removed between the open and the lock
            file.close()
            return None
        outbox = cls(folder, file)
        outbox._finish_killed_run()
        return outbox

    def append(self, op: Operation, body: Mapping[str, Any], time_ms: int | None = None) -> None:
        """Append a record; `time_ms` defaults to the current time.

        Raises:
            OSError: the disk is full.
        """
        record = {"op": op, "time": time_ms or time.time_ns() // 1_000_000, "body": body}
        line = json.dumps(record).encode() + b"\n"
        if self._file.write(line) != len(line):
            self._file.truncate(self._size)  # part of a record would spoil the next one
            raise OSError(f"{self.folder} is on a full disk")
        self._size += len(line)

    def keep_file(self, path: Path) -> str:
        """Store the current content of a file in the outbox; return its path relative to it.

        The file is linked rather than copied. A link keeps its content when the original is
        replaced, as checkpoints are. Do not log a file that is later written in place.
        """
        relative = Path("files", str(self._n_files), path.name)
        self._n_files += 1
        (self.folder / relative).parent.mkdir(parents=True)
        link_or_copy(path.resolve(), self.folder / relative)
        return str(relative)

    def start_record(self) -> Record | None:
        """Return the start record, delivered or not, or None if it is not written yet."""
        return next(self._read(0), None)

    def pending(self) -> list[Record]:
        """Return the undelivered records, without a last line that is not complete."""
        return list(self._read(self.progress.position))

    def mark_delivered(self, record: Record, run_id: str) -> None:
        """Save that all records up to and including `record` are delivered."""
        finished = self.progress.finished or record.op == "finish"
        self.progress = Progress(record.end, run_id, finished)
        write_text(self.folder / "delivered.json", json.dumps(asdict(self.progress)))

    def is_continued_elsewhere(self) -> bool:
        """Return whether another outbox resumes this run or is another attempt at its trial."""
        start = self.start_record()
        trial = _trial(start.body) if start else None
        others = set(self.folder.parent.glob("*/records.jsonl")) - {self.folder / "records.jsonl"}
        bodies = [body for path in others if (body := _read_start_body(path)) is not None]
        return any(
            body["run_id"] == self.progress.run_id or (trial and _trial(body) == trial)
            for body in bodies
        )

    def release(self) -> None:
        """Give up the lock, so that another process can deliver the rest."""
        self._file.close()

    def remove(self) -> None:
        """Delete the outbox, and its parent folder if that is empty."""
        shutil.rmtree(self.folder)
        self._file.close()
        try:
            self.folder.parent.rmdir()
        except OSError:  # it holds other outboxes
            return

    def _finish_killed_run(self) -> None:
        """Append a finish record if the former owner did not write one.

        The status is KILLED. A run that fails records FAILED itself; without any finish record
        the process was ended from outside: by a signal, the memory limit or a power cut.
        """
        records = list(self._read(0))
        self._size = records[-1].end if records else 0
        self._file.truncate(self._size)
        if records and records[-1].op != "finish":
            body = {"status": "KILLED", "reason": "the process was killed"}
            self.append("finish", body, records[-1].time)

    def _read(self, position: int) -> Iterator[Record]:
        """Yield the complete records from a byte position on."""
        size = os.fstat(self._file.fileno()).st_size
        content = os.pread(self._file.fileno(), size - position, position)
        for line in content.splitlines(keepends=True):
            position += len(line)
            if line.endswith(b"\n"):
                yield replace(Record(**json.loads(line)), end=position)


def abandoned_outboxes(parent: Path) -> list[Outbox]:
    """Take over all abandoned outboxes below `parent`; return them, oldest first."""
    outboxes = []
    for folder in sorted(path for path in parent.glob("*") if path.suffix != ".new"):
        try:
            outbox = Outbox.take_over(folder)
        except (ValueError, TypeError) as error:  # a damaged outbox must not stop the next run
            log.warning("tracking: skipping %s, which cannot be read: %s", folder, error)
            continue
        if outbox:
            outboxes.append(outbox)
    return outboxes


def _open(path: Path, flags: int = 0) -> io.FileIO:
    """Open a file for appending, unbuffered.

    Only its user may read it, because a record may hold a URI with a password.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | flags, mode=0o600)
    return io.FileIO(descriptor, "a+")


def _read_progress(folder: Path) -> Progress:
    try:
        return Progress(**json.loads((folder / "delivered.json").read_text()))
    except (FileNotFoundError, ValueError):  # not written yet, or emptied by a power cut
        return Progress()


def _read_start_body(records: Path) -> dict[str, Any] | None:
    """Return the body of the start record in a file, or None if there is no start record."""
    try:
        with records.open() as file:
            line = file.readline()
    except FileNotFoundError:  # another process has delivered and removed it
        return None
    body: dict[str, Any] | None = json.loads(line)["body"] if line.endswith("\n") else None
    return body


def _trial(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the parent run and the trial number of a start record, or None outside a study."""
    return tags.parent_and_trial(body.get("tags", {}))


def _make_folder(path: Path, attempts: int = 10) -> Path:
    """Create a folder and its parents.

    Try again when another process removes an empty parent between the two steps.
    """
    for _ in range(attempts - 1):
        try:
            path.mkdir(parents=True)
            return path
        except FileNotFoundError:
            continue
    path.mkdir(parents=True)
    return path
