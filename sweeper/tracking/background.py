"""Delivery beside the training: in threads of this process, or by the courier of a study.

A thread imports MLflow, opens the database or connects to the server, and delivers the records in
batches. A trial of a study hands its outbox to the courier of the study's command, if there is one.
Its process then imports no MLflow, and does not wait at its end.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from sweeper.secrets import masked_uri
from sweeper.text import plural
from sweeper.tracking.courier import Handover
from sweeper.tracking.delivery import Delivery, deliver_abandoned, deliver_until_closed
from sweeper.tracking.imported import ignore_warnings
from sweeper.tracking.outbox import Outbox, abandoned_outboxes

log = logging.getLogger(__name__)

_START_SECONDS = 30.0
"""The longest wait at the start of a study, which is not one for the delivery of records."""


class BackgroundDelivery:
    """The delivery of a run while it is recorded, and of the abandoned outboxes beside it.

    uri: the tracking URI with its password.
    flush_seconds: the longest time that `wait` waits for a server that answers.
    """

    def __init__(
        self, outbox: Outbox, abandoned: Sequence[Outbox], uri: str, flush_seconds: float
    ) -> None:
        self._outbox, self._uri, self._flush_seconds = outbox, uri, flush_seconds
        self._delivery = Delivery(outbox, uris=[uri])
        self._closing, self._closing_others = threading.Event(), threading.Event()
        self.handover = Handover.of(outbox, uri)
        """The outbox in the hands of the courier; None if there is no courier."""
        self._threads = [] if self.handover else [self._start_own()]
        self._others: Sequence[Delivery] = ()  # those that `wait` reports on
        self._threads_of_others = self._start_others(self._deliveries_of(abandoned))

    @property
    def is_closing(self) -> bool:
        """True once the run has ended."""
        return self._closing.is_set()

    @property
    def page(self) -> str | None:
        """The address of the run's page, below that of the server; None while it is not known."""
        return self._delivery.page

    def wait_until_attempted(self) -> None:
        """Wait up to 30 seconds for the first attempt to deliver the start of the run."""
        self._delivery.attempted.wait(_START_SECONDS)

    @property
    def left_behind(self) -> list[Delivery]:
        """The deliveries of other runs that are not done, once `deliver_others` has waited."""
        return [each for each in self._others if not each.is_done]

    def deliver_others(
        self, of_courier: Sequence[Delivery] = (), since: float | None = None
    ) -> None:
        """Try to deliver the abandoned outboxes, and wait for that as long as `wait` may.

        of_courier: deliveries that the courier of this process has begun, and that `wait` reports.
        since: when the wait for deliveries began, by `time.monotonic`; None for now.
        """
        since = time.monotonic() if since is None else since
        self._closing_others.set()
        self._join(self._threads_of_others, since)
        own = self._deliveries_of(abandoned_outboxes(self._outbox.folder.parent))
        self._others = [*own, *of_courier]
        self._threads_of_others = self._start_others(own)
        self._join(self._threads_of_others, since)

    def close(self) -> bool:
        """Let the delivery end, as the last record is written; return whether the courier has it.

        Otherwise `wait` waits for it.
        """
        if self.handover is not None:
            if self.handover.finish():
                self._closing.set()
                self._outbox.release()
                return True
            self._threads.append(self._start_own())
        self._closing.set()
        self._closing_others.set()
        return False

    def wait(self) -> None:
        """Wait up to `flush_seconds` for the delivery, and warn of what is not delivered then."""
        self._join([*self._threads, *self._threads_of_others], time.monotonic())
        progress = self._outbox.progress
        if not progress.finished:
            what = f"not all records reached {masked_uri(self._uri)} in time"
            self._warn(what, self._delivery, "others")
        elif progress.put_off:
            what = f"{plural(len(progress.put_off), 'file')} of this run could not be uploaded yet"
            self._warn(what, self._delivery, "files")
        elif left := self.left_behind:
            what = f"the records of {plural(len(left), 'other run')} are not delivered yet"
            self._warn(what, left[0], "records")

    def _join(self, threads: Sequence[threading.Thread], since: float) -> None:
        # A server that failed at the last attempt is given two seconds, not the whole wait.
        wait_seconds = min(self._flush_seconds, 2.0 if self._delivery.is_away else math.inf)
        for thread in threads:
            thread.join(max(0.0, since + wait_seconds - time.monotonic()))

    def _deliveries_of(self, abandoned: Sequence[Outbox]) -> list[Delivery]:
        return [Delivery(outbox, uris=[self._uri]) for outbox in abandoned]

    def _start_others(self, deliveries: Sequence[Delivery]) -> list[threading.Thread]:
        """Start to deliver outboxes until `_closing_others` is set; return the thread, if any."""
        if not deliveries:
            return []
        return [_start_thread(deliver_abandoned, deliveries, self._closing_others)]

    def _start_own(self) -> threading.Thread:
        return _start_thread(deliver_until_closed, self._delivery, self._closing)

    def _warn(self, what: str, delivery: Delivery, kept: str) -> None:
        """Warn that records are not delivered, and say how they will be."""
        log.warning(
            "tracking: %s (%s); the %s stay in %s. The next run in this folder delivers them; to "
            "deliver them now, type python -m sweeper.tracking.deliver",
            what,
            delivery.failure or f"{self._flush_seconds:g} seconds were not enough",
            kept,
            self._outbox.folder.parent,
        )


def _start_thread(
    deliver: Callable[..., None], deliveries: object, closing: threading.Event
) -> threading.Thread:
    ignore_warnings()
    # A daemon thread: a server that hangs must not keep the process alive. The records that it has
    # not delivered are on disk.
    thread = threading.Thread(
        target=deliver, args=(deliveries, closing), name=deliver.__name__, daemon=True
    )
    thread.start()
    return thread
