"""The records of one run, stored on disk until they are delivered to the tracking server.

    outbox/<time>-<random>/records.jsonl     one record a line; its owner holds a lock on it
                           delivered.json    how much of it is delivered, and the run id
                           files/            the artifacts as they were when they were logged
           <name>.new, <name>.done           an outbox that is being created, or removed
           damaged/                          what cannot be delivered, see `damaged.py`

The owner of an outbox is the process that records or delivers the run. An outbox is abandoned
when its owner has ended and left undelivered records. Its name is a key of the run: until the
server has given the run an id, a checkpoint or a trial refers to the run by it.

`append` hands a record to the operating system before it returns, so the record survives the end
of the process. It does not call fsync, which takes as long as an epoch of a small network; a
power cut may therefore lose records.
"""

import contextlib
import io
import json
import logging
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweeper import locks
from sweeper.files import link_or_copy
from sweeper.tracking import damaged, tags
from sweeper.tracking.delivered import Progress, read_progress, without_progress, write_progress
from sweeper.tracking.record_file import RECORDS, RecordFile
from sweeper.tracking.records import FILES, DamagedRecordError, Operation, Record
from sweeper.tracking.scan import Damage

log = logging.getLogger(__name__)

_NEW, _DONE = ".new", ".done"


class Outbox:
    """The records of one run; this process holds the lock on them.

    unlock: what releases the lock, beside closing the file.
    """

    def __init__(
        self, folder: Path, file: RecordFile, unlock: Callable[[], None] = lambda: None
    ) -> None:
        self.folder = folder
        self._file, self._unlock = file, unlock
        self._n_files = 0
        self._start: Record | None = None
        self.progress = read_progress(folder)

    @classmethod
    def create(cls, parent: Path) -> "Outbox":
        """Create an empty outbox below `parent`.

        Raises:
            OSError: the folder cannot be written.
        """
        now = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"  # they are delivered in the order of names
        folder = parent / f"{now}-{uuid.uuid4().hex[:8]}"
        # Locked before it has its final name, so that no process finds it without an owner.
        if locks.ARE_BESIDE:
            parent.mkdir(parents=True, exist_ok=True)
            unlock = _claimed(folder)
            return cls(folder, RecordFile.open(_make_folder(folder), os.O_CREAT), unlock)
        staged = _make_folder(parent / f"{folder.name}{_NEW}")
        file = RecordFile.open(staged, os.O_CREAT)
        return cls(staged.rename(folder), file.moved(folder), _claimed(folder, file))

    @classmethod
    def take_over(cls, folder: Path) -> "Outbox | None":
        """Become the owner of an abandoned outbox, and set aside what is damaged in it.

        Return None if the outbox has a live owner, belongs to another user or does not exist, and
        if it was set aside as a whole, because no run can start from it.

        Raises:
            OSError: the outbox cannot be read or written.
        """
        try:
            if folder.is_symlink() or not stat.S_ISREG((folder / RECORDS).lstat().st_mode):
                _set_whole_aside(folder, f"{RECORDS} is not a file")
                return None
            file = RecordFile.open(folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        unlock = locks.claim(folder, file.fileno())
        if unlock is None:
            file.close()
            return None
        with contextlib.ExitStack() as undo:
            undo.callback(unlock)
            undo.callback(file.close)
            if not (folder / RECORDS).exists():  # removed between the open and the lock
                return None
            try:
                outbox = cls(folder, file, unlock)
                outbox._repair()
            except DamagedRecordError as error:
                if locks.ARE_BESIDE:
                    file.close()
                _set_whole_aside(folder, str(error))
                return None
            undo.pop_all()
        return outbox

    @classmethod
    def shared(cls, folder: Path, descriptor: int) -> "Outbox":
        """Become the second owner of an outbox; `descriptor` is a copy of the first owner's.

        The lock lasts until both have closed theirs.
        """
        return cls(folder, RecordFile(folder, io.FileIO(descriptor, "a+")))

    def is_oldest(self) -> bool:
        """Return whether no outbox beside this one was created before it."""
        older = (p for p in _folders_of_outboxes(self.folder.parent) if p.name < self.folder.name)
        # Unlike `Path.exists`, this takes the outbox of another user for one that is not there.
        return not any(os.path.exists(path / RECORDS) for path in older)  # noqa: PTH110

    def fileno(self) -> int:
        """Return the descriptor of the file with the records, which holds the lock."""
        return self._file.fileno()

    def conclude(self) -> None:
        """End the run if its first owner has died without doing so."""
        try:
            self._repair()
        except (DamagedRecordError, OSError) as error:  # the next owner sets it aside
            log.warning("tracking: %s cannot be concluded: %s", self.folder, error)

    def append(self, op: Operation, body: Mapping[str, Any], time_ms: int | None = None) -> None:
        """Append a record; `time_ms` defaults to the current time.

        Raises:
            OSError: the disk is full.
        """
        record = {"op": op, "time": time_ms or time.time_ns() // 1_000_000, "body": body}
        self._file.append(json.dumps(record).encode() + b"\n")

    def keep_file(self, path: Path) -> str:
        """Store the current content of a file in the outbox; return its path relative to it.

        The file is linked rather than copied. A link keeps its content when the original is
        replaced, as checkpoints are. Do not log a file that is later written in place.
        """
        relative = Path(FILES, str(self._n_files), path.name)
        self._n_files += 1
        (self.folder / relative).parent.mkdir(parents=True)
        link_or_copy(path.resolve(), self.folder / relative)
        return relative.as_posix()

    def keep_folder(self, path: Path) -> str:
        """Store all files of a folder as `keep_file` does; return its path in the outbox.

        Raises:
            OSError: a file cannot be stored. The others are removed, for what has room.
        """
        relative = Path(FILES, str(self._n_files), path.name)
        self._n_files += 1
        try:
            shutil.copytree(path, self.folder / relative, copy_function=link_or_copy)
        except OSError as error:
            shutil.rmtree(self.folder / relative, ignore_errors=True)
            if isinstance(error, shutil.Error):  # of several files; one tells what is wrong
                raise OSError(error.args[0][0][2]) from error
            raise
        return relative.as_posix()

    def start_record(self) -> Record | None:
        """Return the start record, delivered or not, or None if it is not written yet.

        It is known after `release` too if it was asked for before.
        """
        if self._start is None and not self._file.is_closed:
            records, _ = self._file.scan(0)
            self._start = records[0] if records and records[0].op == "start" else None
        return self._start

    def pending(self) -> list[Record]:
        """Return the undelivered records, without a last line that is not complete.

        Those that are put off are not among them. What is damaged among them is set aside.

        Raises:
            OSError: the outbox cannot be read, or what is damaged cannot be set aside.
        """
        records, damages = self._file.scan(self.progress.position)
        self._set_aside(damages)
        return records

    def mark_delivered(self, record: Record, run_id: str) -> None:
        """Save that a record is delivered, after all records before it that are not put off."""
        before = self.progress
        self.progress = Progress(
            max(before.position, record.end),
            run_id,
            before.finished or record.op == "finish",
            tuple(begin for begin in before.put_off if begin != record.begin),
        )
        write_progress(self.folder, self.progress)

    def put_off(self, records: Sequence[Record]) -> None:
        """Save that the next pending records are delivered later than those after them."""
        before = self.progress
        begins = [record.begin for record in records if record.begin >= before.position]
        self.progress = replace(
            before,
            position=max(before.position, records[-1].end),
            put_off=(*before.put_off, *begins),
        )
        write_progress(self.folder, self.progress)

    def records_put_off(self) -> list[Record]:
        """Return the records that were put off and are not delivered, in their order.

        Raises:
            OSError: the outbox cannot be read.
        """
        if not self.progress.put_off:
            return []
        records, _ = self._file.scan(min(self.progress.put_off))
        return [record for record in records if record.begin in self.progress.put_off]

    def keep_refused(self, record: Record) -> Path:
        """Store a copy of a record that will never be delivered; return the folder of the copy."""
        damaged.set_line_aside(self.folder, self._file.read(record.begin, record.end))
        return damaged.place_of(self.folder)

    def is_done(self) -> bool:
        """Return whether nothing is left to deliver: all is delivered, or nothing was recorded."""
        if self.progress.finished:
            return not (self.pending() or self.records_put_off())
        return self._file.size == 0

    def is_of_study(self) -> bool:
        """Return whether the run is that of a study."""
        start = self.start_record()
        return start is not None and tags.is_study(start.body["tags"])

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a lock that all outboxes of this folder share.

        Two attempts at one run would each create it, if both looked for it at the same time. The
        others wait, so what takes long is done in several turns.
        """
        with locks.locked(self.folder.parent):
            yield

    def release(self) -> None:
        """Give up the lock, so that another process can deliver the rest."""
        self._file.close()
        self._unlock()

    def remove(self) -> None:
        """Delete the outbox, and its parent folder if that is empty.

        If records of it were set aside, its artifacts are too, for they may belong to these.
        """
        if locks.ARE_BESIDE:  # Windows neither moves nor deletes a folder with an open file
            self._file.close()
        place = damaged.place_of(self.folder)
        if place.is_dir() and (self.folder / FILES).is_dir():
            damaged.move_aside(self.folder / FILES, place / FILES)
        done = self.folder.rename(self.folder.with_name(f"{self.folder.name}{_DONE}"))
        self._file.close()  # a file that is open leaves another one behind on NFS
        # What another owner has open still, or an end of this process leaves, is removed later.
        shutil.rmtree(done, ignore_errors=True)
        self.release()
        try:
            self.folder.parent.rmdir()
        except OSError:  # it holds other outboxes
            return

    def _repair(self) -> None:
        """Set aside what is damaged, and end the run if the former owner did not.

        The status is KILLED. A run that fails records FAILED itself; without any finish record
        the process was ended from outside: by a signal, the memory limit or a power cut.

        Raises:
            DamagedRecordError: there is no start record that can be used.
        """
        records, damages = self._file.scan(0, with_last_line=True)
        if self._file.size and (not records or records[0].op != "start"):
            reason = damages[0].reason if damages else "it is missing"
            raise DamagedRecordError(f"its start record is damaged: {reason}")
        self._set_aside(damages)
        ends = {0, *(record.end for record in records)}
        begins = {record.begin for record in records}
        # Older versions counted the end of the line too.
        is_known = not {self.progress.position, self.progress.position - 1}.isdisjoint(ends)
        if not is_known or not begins.issuperset(self.progress.put_off):
            self.progress = without_progress(self.folder)
        self._file.end_last_line()
        if records and all(record.op != "finish" for record in records):
            body = {"status": "KILLED", "reason": "the process was killed"}
            self.append("finish", body, records[-1].time)

    def _set_aside(self, damages: Sequence[Damage]) -> None:
        if not damages:
            return
        self._file.set_aside(damages)
        log.warning(
            "tracking: %d damaged record(s) of %s are set aside in %s, the first one because: %s",
            len(damages),
            self.folder,
            damaged.place_of(self.folder),
            damages[0].reason,
        )


def abandoned_outboxes(parent: Path) -> list[Outbox]:
    """Return all abandoned outboxes below `parent`, and remove what is left of those removed.

    They come oldest first, and those of studies last, after the trials that they count. Each is
    released again, as a process may open so many files only: `Outbox.take_over` makes it its own.
    """
    for done in parent.glob(f"*{_DONE}"):
        shutil.rmtree(done, ignore_errors=True)
    outboxes = []
    for folder in _folders_of_outboxes(parent):
        try:
            if not locks.ARE_BESIDE:  # elsewhere a new outbox is empty for a moment
                with contextlib.suppress(OSError):
                    folder.rmdir()  # if it is empty: an older version could not remove it
            if outbox := Outbox.take_over(folder):
                try:
                    outbox.start_record()
                finally:
                    outbox.release()
                outboxes.append(outbox)
        except OSError as error:  # one outbox must not stop the others, nor the next run
            log.warning("tracking: skipping %s, which cannot be read: %s", folder, error)
    return sorted(outboxes, key=Outbox.is_of_study)


def _folders_of_outboxes(parent: Path) -> list[Path]:
    """Return the folders below `parent` that may be outboxes, oldest first."""
    others = (_NEW, _DONE, locks.ENDING)
    folders = (path for path in parent.glob("*") if path.name != damaged.FOLDER)
    return sorted(path for path in folders if path.suffix not in others)


def _claimed(folder: Path, file: RecordFile | None = None) -> Callable[[], None]:
    """Lock an outbox that nobody else knows."""
    unlock = locks.claim(folder, None if file is None else file.fileno())
    assert unlock is not None
    return unlock


def _set_whole_aside(folder: Path, reason: str) -> None:
    place = damaged.move_aside(folder, damaged.place_of(folder))
    log.warning(
        "tracking: %s cannot be delivered (%s); it is set aside in %s", folder, reason, place
    )


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
