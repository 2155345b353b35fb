"""A thread beside a running trial: it renews the lease, and sees when the trial must stop."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from sweeper.cli.interrupts import Interrupt
from sweeper.sweep.claim import Claim
from sweeper.sweep.lease import RENEWALS_PER_LEASE
from sweeper.sweep.ledger import Ledger
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
# For a task to stop by itself. After the time limit of a command it also saves its state. Another
# worker has a lost trial, but a long step of it is no hang yet.
GRACE_SECONDS = {"trial_timeout": 10.0, "timeout": 30.0, "lost": 30.0}

Reason = Literal["lost", "interrupted", "timeout", "trial_timeout"]


class Guard:
    """Context manager that guards a running trial from a thread.

    `reason` tells why the task must stop as soon as it can, or None. A task that has not stopped
    `GRACE_SECONDS` after a time limit, or after it has lost its lease, hangs: `on_hang` is then
    called with the reason, if there is such a function. `asks_storage` is True if a command may ask
    its workers to leave through the storage.
    """

    def __init__(
        self,
        ledger: Ledger,
        claim: Claim,
        interrupt: Interrupt,
        asks_storage: bool = False,
        on_hang: Callable[[Reason], object] | None = None,
    ) -> None:
        self._ledger, self._claim, self._interrupt = ledger, claim, interrupt
        self._asks_storage, self._on_hang = asks_storage, on_hang
        self._started_seconds = self._renewed_seconds = time.monotonic()
        self._reason: Reason | None = None
        self._reason_seconds = 0.0
        self._is_away = False  # the storage, when it was last asked
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    @property
    def reason(self) -> Reason | None:
        """The reason why the task must stop in the middle of an epoch, or None."""
        if self._reason is None and self._interrupt.requested:
            return "interrupted"
        return self._reason

    def __enter__(self) -> "Guard":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        budget = self._ledger.budget
        interval = budget.lease_seconds / RENEWALS_PER_LEASE
        while not self._stop.wait(min(TICK_SECONDS, interval)):
            now = time.monotonic()
            try:
                self._ask_storage(now, interval)
            except Exception as error:
                # The storage may be reachable again before the lease lapses.
                level = logging.DEBUG if self._is_away else logging.WARNING
                text = in_one_line(error)
                log.log(level, "The trial goes on without the study's storage: %s", text)
                self._is_away = True
            self._check_time(now)

    def _ask_storage(self, now: float, interval: float) -> None:
        """Renew the lease if that is due, and ask whether the worker is to leave."""
        if self._reason == "lost":
            return
        if now - self._renewed_seconds >= interval:
            self._renewed_seconds = now
            if not self._ledger.renew(self._claim):
                self._reason, self._reason_seconds = "lost", now
                return
            self._is_away = False
        if self._asks_storage:
            if self._ledger.command_has_ended():
                self._interrupt.request()
            self._is_away = False

    def _check_time(self, now: float) -> None:
        if self._reason is None:
            self._reason, self._reason_seconds = self._passed_limit(now), now
        elif now - self._reason_seconds > GRACE_SECONDS[self._reason] and self._on_hang is not None:
            self._on_hang(self._reason)

    def _passed_limit(self, now: float) -> Reason | None:
        budget = self._ledger.budget
        if budget.trial_seconds is not None and now - self._started_seconds > budget.trial_seconds:
            return "trial_timeout"
        if budget.deadline is not None and time.time() >= budget.deadline:
            return "timeout"
        return None
