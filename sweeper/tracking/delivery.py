"""Delivery of outboxes to MLflow. `MLflowTracker` runs it in a background thread."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

from sweeper.secrets import without_password
from sweeper.text import plural, shortened
from sweeper.tracking.logged_model import LoggedModels
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.records import Record
from sweeper.tracking.refusals import RefusedError
from sweeper.tracking.store import MLflowStore
from sweeper.tracking.study_page import StudyPage
from sweeper.tracking.uri import absolute_uri, with_password

log = logging.getLogger(__name__)

Connect = Callable[[str, Path], MLflowStore]
_BATCHED = {"metrics", "artifact"}
"""Operations of which several in a row are sent at once."""
_UPLOADS = {"artifact", "model"}
"""Operations that no other one waits for: the place of a run's files may be away by itself."""
HANG_SECONDS = 10.0
"""If files that cannot be uploaded have taken longer, their place hangs."""
_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds; metrics logged within one pause share a request


class Delivery:
    """Delivery of one outbox, in as many attempts as it takes.

    `failure` is the reason why the last attempt failed, or None. `is_away` is True if the server
    itself failed then, and not only the upload of files. `attempted` is set after the first
    attempt, `is_done` when all is delivered and the delivery is closed. `uris` are tracking URIs
    with their passwords, which the records do not hold.
    """

    def __init__(
        self, outbox: Outbox, connect: Connect = MLflowStore, uris: Sequence[str] = ()
    ) -> None:
        self.outbox = outbox
        self._uris = uris
        self.failure: str | None = None
        self.is_away = False
        self.attempted = threading.Event()
        self.is_done = False
        self._connect = connect
        self._store: MLflowStore | None = None
        self._n_refused = 0

    @property
    def page(self) -> str | None:
        """The address of the run's page, below that of the server; None if it is not known."""
        return self._store.page if self._store else None

    def attempt(self) -> bool:
        """Deliver the pending records; return whether all of them were delivered.

        Files that cannot be uploaded are put off: the records after them are delivered first.
        """
        try:
            self.failure, self.is_away = self._deliver_pending(), False
        except Exception as error:  # any library may raise; the thread must survive
            self.failure, self.is_away = _first_line(error), True
        finally:
            self.attempted.set()
        if self.failure is not None:
            log.debug("tracking: delivery failed: %s", self.failure)
        return self.failure is None

    def attempt_abandoned(self) -> bool:
        """Take over an abandoned outbox, try to deliver it once, and close it.

        Return whether nothing is left to do, as when another process has delivered it.
        """
        try:
            outbox = Outbox.take_over(self.outbox.folder)
        except OSError as error:
            self.failure = _first_line(error)
            return False
        if outbox is None:  # another process owns it, or has delivered it
            self.is_done = not self.outbox.folder.exists()
            self.failure = None if self.is_done else "another process is delivering it"
            return self.is_done
        self.outbox = outbox
        succeeded = self.attempt()
        self.close()
        return succeeded

    def close(self) -> None:
        """Remove the outbox if it is delivered or empty, else release it to the next owner."""
        if self._n_refused > 1:
            name = self.outbox.folder.name
            more = plural(self._n_refused - 1, "more record")
            log.warning("MLflow refused %s of %s", more, name)
            self._n_refused = 1
        try:
            self.is_done = self.outbox.is_done()
            if self.is_done:
                self.outbox.remove()
        except OSError as error:  # the next owner removes it
            log.warning("tracking: cannot remove %s: %s", self.outbox.folder, error)
        self.outbox.release()

    def _deliver_pending(self) -> str | None:
        """Deliver the pending records; return why files are put off, or None if none are."""
        start, records = self.outbox.start_record(), self.outbox.pending()
        if start is None or not (records or self.outbox.progress.put_off):
            return None
        if self._store is None:
            folder = self.outbox.folder.parent.parent
            uri = absolute_uri(with_password(start.body["uri"], self._uris), folder)
            self._store = self._connect(uri, folder)
        for op, group in groupby(records, key=lambda record: record.op):
            same_op = list(group)
            for batch in [same_op] if op in _BATCHED else [[record] for record in same_op]:
                if op not in _UPLOADS:
                    self._send_and_mark(self._store, batch)
                elif self.outbox.progress.put_off or self._upload(self._store, batch):
                    self.outbox.put_off(batch)
        return self._deliver_put_off(self._store)

    def _deliver_put_off(self, store: MLflowStore) -> str | None:
        """Upload each file that is put off by itself; return why the first one failed, if any.

        If the place for files hangs, the others wait for the next attempt: new records come first.
        """
        records, run_id = self.outbox.records_put_off(), self.outbox.progress.run_id or ""
        last = {_place_of(record): record for record in records}
        for record in records:
            if last[_place_of(record)] is not record:  # the later file would replace it
                self.outbox.mark_delivered(record, run_id)
        failure, started = None, time.monotonic()
        for record in last.values():
            reason = self._upload(store, [record])
            failure = failure or reason
            if reason and time.monotonic() - started > HANG_SECONDS:
                break
        return failure

    def _upload(self, store: MLflowStore, batch: Sequence[Record]) -> str | None:
        """Send files and mark them as delivered; return why that failed, or None."""
        try:
            self._send_and_mark(store, batch)
        except Exception as error:  # any library may raise
            return _first_line(error)
        return None

    def _send_and_mark(self, store: MLflowStore, batch: Sequence[Record]) -> None:
        """Send a batch and mark it as delivered; keep aside the records that the server refuses."""
        try:
            run_id = self._send(store, batch)
        except RefusedError as error:
            if len(batch) > 1:
                for record in batch:
                    self._send_and_mark(store, [record])
                return
            if batch[0].op == "start":  # all other records need the run
                raise
            self._say_refused(batch[0], error, self.outbox.keep_refused(batch[0]))
            run_id = self.outbox.progress.run_id or ""
        self.outbox.mark_delivered(batch[-1], run_id)

    def _say_refused(self, record: Record, error: RefusedError, place: Path) -> None:
        """Name the first record that is refused; if the run was deleted, all others follow."""
        self._n_refused += 1
        if self._n_refused == 1:
            log.warning(
                "MLflow refused a record of %s: %s; it is kept in %s, and so is each further "
                "one that MLflow refuses",
                record.op,
                _first_line(error),
                place,
            )

    def _send(self, store: MLflowStore, batch: Sequence[Record]) -> str:
        """Send records of one operation; return the run id."""
        record, body = batch[0], batch[0].body
        if record.op == "start":
            with self.outbox.turn():
                return store.start(record, self.outbox.folder.name)
        start = self.outbox.start_record()
        started, run_id = start.time if start else 0, self.outbox.progress.run_id or ""
        match record.op:
            case "metrics":
                store.log_metrics(run_id, batch, started)
            case "tags":
                store.set_tags(run_id, body["tags"], body["prefix"], started)
            case "artifact":
                bodies = [record.body for record in batch]
                files = [(self.outbox.folder / b["path"], b["folder"]) for b in bodies]
                store.log_artifacts(run_id, files, started)
            case "model":
                dataset = start.body["dataset"] if start else None
                folder = self.outbox.folder / body["path"]
                is_oldest = self.outbox.is_oldest()
                LoggedModels(store).deliver(run_id, record, folder, dataset, is_oldest)
            case "reconcile":
                StudyPage(store).reconcile(run_id, record, self.outbox.turn)
            case "finish":
                with self.outbox.turn():
                    store.finish(run_id, body["status"], body["reason"], record.time, started)
        return run_id


def deliver_until_closed(delivery: Delivery, closing: threading.Event) -> None:
    """Deliver the records of a live run until `closing` is set, then try a last time."""
    pause = _PAUSE
    while True:
        last_attempt = closing.is_set()
        pause = _PAUSE if delivery.attempt() else min(2 * pause, _LONGEST_PAUSE)
        if last_attempt:
            break
        closing.wait(pause)
    delivery.close()


def deliver_abandoned(deliveries: Iterable[Delivery], closing: threading.Event) -> None:
    """Deliver abandoned outboxes, each at least once; retry failures until `closing` is set."""
    unfinished = list(deliveries)
    pause = _PAUSE
    while unfinished := [each for each in unfinished if not each.attempt_abandoned()]:
        if closing.wait(pause):
            break
        pause = min(2 * pause, _LONGEST_PAUSE)


def _place_of(record: Record) -> tuple[str, str]:
    """Return where among the run's artifacts a file goes; each model has a place of its own."""
    if record.op == "model":
        return record.op, record.body["path"]
    return record.body["folder"], PurePosixPath(record.body["path"]).name


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return shortened(without_password(text.splitlines()[0]), 200)
