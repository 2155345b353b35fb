"""Delivers outboxes to MLflow, from a thread of their own."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from sweeper.tracking.outbox import Outbox, Record
from sweeper.tracking.store import MLflowStore, RefusedError, shorten
from sweeper.tracking.uri import without_password

log = logging.getLogger(__name__)

Connect = Callable[[str, Path], MLflowStore]
_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds; records that come within one pause share a request


class Delivery:
    """Brings one outbox to its server, in as many attempts as it takes."""

    def __init__(self, outbox: Outbox, connect: Connect = MLflowStore) -> None:
        self.outbox = outbox
        self.failure: str | None = None
        self._connect = connect
        self._store: MLflowStore | None = None

    def attempt(self) -> bool:
        """Deliver what waits; return whether that worked, `failure` says why it did not."""
        try:
            self._deliver()
        except Exception as error:  # any library may fail on the way; the thread must live
            self.failure = _first_line(error)
            log.debug("tracking waits: %s", self.failure)
            return False
        self.failure = None
        return True

    def close(self) -> None:
        """Remove the outbox if the server has all of it, else leave it to the next owner."""
        if self.outbox.delivered.finished or self.outbox.first() is None:
            self.outbox.remove()
        else:
            self.outbox.release()

    def _deliver(self) -> None:
        start, records = self.outbox.first(), self.outbox.pending()
        if start is None or not records:
            return
        if self._store is None:
            self._store = self._connect(start.body["uri"], self.outbox.folder.parent.parent)
        for op, group in groupby(records, key=lambda record: record.op):
            together = list(group)
            for batch in [together] if op == "metrics" else [[record] for record in together]:
                self._apply(self._store, batch)

    def _apply(self, store: MLflowStore, batch: Sequence[Record]) -> None:
        try:
            run_id = self._send(store, batch)
        except RefusedError as error:
            if len(batch) > 1:
                for record in batch:
                    self._apply(store, [record])
                return
            if batch[0].op == "start":  # without the run nothing else can be delivered
                raise
            log.warning("MLflow refused a record of %s: %s", batch[0].op, _first_line(error))
            run_id = self.outbox.delivered.run_id or ""
        self.outbox.mark(batch[-1], run_id)

    def _send(self, store: MLflowStore, batch: Sequence[Record]) -> str:
        record, body = batch[0], batch[0].body
        if record.op == "start":
            return store.start(record, self.outbox.folder.name)
        run_id = self.outbox.delivered.run_id or ""
        match record.op:
            case "metrics":
                store.log_metrics(run_id, batch)
            case "tags":
                store.set_tags(run_id, body["tags"])
            case "artifact":
                store.log_artifact(run_id, self.outbox.folder / body["path"], body["folder"])
            case "finish" if not self.outbox.continued_elsewhere():
                store.finish(run_id, body["status"], body["reason"], record.time)
        return run_id


def deliver_until_closed(delivery: Delivery, closing: threading.Event) -> None:
    """Deliver a live run's records as they come; once closing, try once more and leave."""
    pause = _PAUSE
    while True:
        last = closing.is_set()
        if delivery.attempt():
            pause = _PAUSE
        elif closing.is_set():
            break
        else:
            pause = min(2 * pause, _LONGEST_PAUSE)
        if last:
            break
        closing.wait(pause)
    delivery.close()


def deliver_leftovers(outboxes: Iterable[Outbox], closing: threading.Event) -> None:
    """Deliver dead owners' records until all is delivered, or closing and tried once."""
    waiting = [Delivery(outbox) for outbox in outboxes]
    pause = _PAUSE
    while waiting := [delivery for delivery in waiting if not _delivered(delivery)]:
        if closing.wait(pause):
            break
        pause = min(2 * pause, _LONGEST_PAUSE)
    for delivery in waiting:
        delivery.close()


def _delivered(delivery: Delivery) -> bool:
    delivered = delivery.attempt()
    if delivered:
        delivery.close()
    return delivered


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return shorten(without_password(text.splitlines()[0]), 200)
