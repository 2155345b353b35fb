"""The records of one run, kept on disk until the tracking server has them.

    outbox/<time>-<random>/records.jsonl     one operation a line, locked by its live owner
                           delivered.json    how far the server has them, and its run id
                           files/            the artifacts as they were when they were logged

A record reaches the operating system before `append` returns, so it outlives the process.
It is not synced to the platter: that costs an epoch's worth of time to guard against power cuts.
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
    """One operation; `time` in milliseconds since 1970, `end` its last byte's place in the file."""

    op: Operation
    time: int
    body: Mapping[str, Any]
    end: int = 0


@dataclass(frozen=True)
class Delivered:
    """What the server has: all up to byte `position`, under `run_id`, its end included or not."""

    position: int = 0
    run_id: str | None = None
    finished: bool = False


class Outbox:
    """One run's records, in the hands of whoever holds the lock."""

    def __init__(self, folder: Path, file: io.FileIO) -> None:
        self.folder = folder
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._kept = 0
        self.delivered = _delivered(folder)

    @classmethod
    def create(cls, parent: Path) -> "Outbox":
        """Begin an empty outbox below `parent`; raises OSError where that cannot be written."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
        # It is locked under another name, so that nobody finds it before it has an owner.
        staged = _make_folder(parent / f"{name}.new")
        file = _open(staged / "records.jsonl", os.O_CREAT)
        fcntl.flock(file, fcntl.LOCK_EX)
        return cls(staged.rename(parent / name), file)

    @classmethod
    def take_over(cls, folder: Path) -> "Outbox | None":
        """Become the owner of a dead owner's outbox; None if it is alive, gone or another's."""
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
        outbox._end_for_the_dead()
        return outbox

    def append(self, op: Operation, body: Mapping[str, Any], time_ms: int | None = None) -> None:
        """Add a record, of now unless told; raises OSError if it does not fit on the disk."""
        record = {"op": op, "time": time_ms or time.time_ns() // 1_000_000, "body": body}
        line = json.dumps(record).encode() + b"\n"
        if self._file.write(line) != len(line):
            self._file.truncate(self._size)  # no half record before the next one
            raise OSError(f"{self.folder} is on a full disk")
        self._size += len(line)

    def keep(self, path: Path) -> str:
        """Keep the file's present content and return where, relative to the outbox.

        A hard link costs nothing and survives the atomic replacement of the file, which is how
        checkpoints are written; a file that is rewritten in place must not be logged before.
        """
        kept = Path("files", str(self._kept), path.name)
        self._kept += 1
        (self.folder / kept).parent.mkdir(parents=True)
        link_or_copy(path.resolve(), self.folder / kept)
        return str(kept)

    def first(self) -> Record | None:
        """The start record, delivered or not."""
        return next(self._read(0), None)

    def pending(self) -> list[Record]:
        """The records that are not delivered; a last line without its end does not count."""
        return list(self._read(self.delivered.position))

    def mark(self, record: Record, run_id: str) -> None:
        """Remember that everything up to `record` is delivered."""
        finished = self.delivered.finished or record.op == "finish"
        self.delivered = Delivered(record.end, run_id, finished)
        write_text(self.folder / "delivered.json", json.dumps(asdict(self.delivered)))

    def continued_elsewhere(self) -> bool:
        """Whether another outbox beside this one continues its run, or tries its trial again."""
        start = self.first()
        trial = _trial(start.body) if start else None
        others = set(self.folder.parent.glob("*/records.jsonl")) - {self.folder / "records.jsonl"}
        bodies = [body for path in others if (body := _start_body(path)) is not None]
        return any(
            body["run_id"] == self.delivered.run_id or (trial and _trial(body) == trial)
            for body in bodies
        )

    def release(self) -> None:
        """Leave what is not delivered to the next owner."""
        self._file.close()

    def remove(self) -> None:
        """Delete the outbox, and the folder around it once that is empty."""
        shutil.rmtree(self.folder)
        self._file.close()
        try:
            self.folder.parent.rmdir()
        except OSError:  # other runs' records are in there
            return

    def _end_for_the_dead(self) -> None:
        """Give a run without an end the end that its owner could not write.

        KILLED and not FAILED: a run that fails says so itself; one that says nothing was ended
        from outside, by a signal, the memory limit or a power cut.
        """
        records = list(self._read(0))
        self._size = records[-1].end if records else 0
        self._file.truncate(self._size)
        if records and records[-1].op != "finish":
            body = {"status": "KILLED", "reason": "the process ended without a word"}
            self.append("finish", body, records[-1].time)

    def _read(self, position: int) -> Iterator[Record]:
        size = os.fstat(self._file.fileno()).st_size
        content = os.pread(self._file.fileno(), size - position, position)
        for line in content.splitlines(keepends=True):
            position += len(line)
            if line.endswith(b"\n"):
                yield replace(Record(**json.loads(line)), end=position)


def leftovers(parent: Path) -> list[Outbox]:
    """Take over every outbox below `parent` whose owner is dead, the oldest first."""
    taken = []
    for folder in sorted(path for path in parent.glob("*") if path.suffix != ".new"):
        try:
            outbox = Outbox.take_over(folder)
        except (ValueError, TypeError) as error:  # a damaged one must not stop the next run
            log.warning("tracking: %s cannot be read (%s) and is left as it is", folder, error)
            continue
        if outbox:
            taken.append(outbox)
    return taken


def _open(path: Path, flags: int = 0) -> io.FileIO:
    """Open for appending, unbuffered; readable by its owner only: a URI may hold a password."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | flags, mode=0o600)
    return io.FileIO(descriptor, "a+")


def _delivered(folder: Path) -> Delivered:
    try:
        return Delivered(**json.loads((folder / "delivered.json").read_text()))
    except (FileNotFoundError, ValueError):  # none yet, or emptied by a power cut: repeat it all
        return Delivered()


def _start_body(records: Path) -> dict[str, Any] | None:
    """Return what an outbox's start record says, once it is written."""
    try:
        with records.open() as file:
            line = file.readline()
    except FileNotFoundError:  # delivered and removed meanwhile
        return None
    body: dict[str, Any] | None = json.loads(line)["body"] if line.endswith("\n") else None
    return body


def _trial(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which trial of which study's run this is, if it is one."""
    return tags.parent_and_trial(body.get("tags", {}))


def _make_folder(path: Path, attempts: int = 10) -> Path:
    """Make a folder and its parents, though another run may remove an empty parent meanwhile."""
    for _ in range(attempts - 1):
        try:
            path.mkdir(parents=True)
            return path
        except FileNotFoundError:
            continue
    path.mkdir(parents=True)
    return path
