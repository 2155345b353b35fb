"""Signals that ask a command to end: the first one in good order, the second one at once.

A user presses Ctrl-C (SIGINT). A system that ends a job sends SIGTERM, and a terminal that closes
sends SIGHUP.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], object]


def _known(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


SIGNALS = _known("SIGINT", "SIGTERM", "SIGHUP")
WARNINGS = _known("SIGUSR1", "SIGUSR2")
"""The signals with which Slurm warns every process of a job of its time limit."""

# For one event, a process may get a signal from the system and another one from its parent.
SAME_EVENT_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt that knows its signal."""

    def __init__(self, number: int | None = None) -> None:
        super().__init__()
        self.number = int(signal.SIGINT if number is None else number)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return a shell's exit code for a command that a signal ended, such as 130 for Ctrl-C."""
    return 128 + getattr(interrupt, "number", int(signal.SIGINT))


class Interrupt:
    """A context manager that handles signals.

    The first signal sets `requested` and `number`, and calls `on_first`. The second signal calls
    `on_second` and raises Interrupted. Two different signals within `SAME_EVENT_SECONDS` count as
    one. If this context is inside another one, the first signal sets `requested` of both, even if
    it came before this context was entered.

    Outside the main thread, to which Python does not deliver signals, the context manager does
    nothing.
    """

    def __init__(
        self,
        on_first: Callable[[], object] | None = None,
        on_second: Callable[[], object] | None = None,
        signals: Sequence[int] = SIGNALS,
    ) -> None:
        self.requested = False
        self.number: int | None = None
        self._on_first, self._on_second = on_first, on_second
        self._pid, self._first_seconds = os.getpid(), 0.0
        self._handling = handling(self._handle, signals)
        self._outer: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        self._outer = self._handling.__enter__()
        contexts = (getattr(handler, "__self__", None) for handler in self._outer.values())
        earlier = [outer for outer in contexts if isinstance(outer, Interrupt) and outer.requested]
        if earlier:
            # The signal came just before this context was entered.
            self.requested, self.number = True, earlier[0].number
            self._first_seconds = time.monotonic()
            try:
                if self._on_first is not None:
                    self._on_first()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._handling.__exit__(None, None, None)

    def request(self, number: int | None = None) -> None:
        """Set `requested`, here and in the contexts around this one."""
        if not self.requested:
            self._first_seconds = time.monotonic()
        self.requested, self.number = True, self.number or number
        outer = getattr(self._outer.get(number or signal.SIGINT), "__self__", None)
        if isinstance(outer, Interrupt):
            outer.request(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if os.getpid() != self._pid:
            self._handle_in_child(number)
        elif not self.requested:
            self.request(number)
            if self._on_first is not None:
                self._on_first()
        elif number == self.number or now - self._first_seconds > SAME_EVENT_SECONDS:
            if self._on_second is not None:
                self._on_second()
            raise Interrupted(number)

    @staticmethod
    def _handle_in_child(number: int) -> None:
        """Handle a signal in a forked child, which inherits the handler (a DataLoader worker).

        The child ignores Ctrl-C, which a terminal sends to it as well; its parent ends it. Any
        other signal ends the child, as it would without the handler.
        """
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def terminable() -> Iterator[None]:
    """Make each of the signals raise Interrupted, as SIGINT raises KeyboardInterrupt.

    As in any Interrupt, `requested` of those around it is set, so a worker knows why a trial ended.
    """

    def end() -> None:
        raise Interrupted(interrupt.number)

    interrupt = Interrupt(end)
    with interrupt:
        yield


@contextmanager
def handling(handler: Handler, signals: Sequence[int] = SIGNALS) -> Iterator[dict[int, Any]]:
    """Install a signal handler for the duration of the context, if this is the main thread.

    Yield the former handlers. A signal that is ignored stays ignored, because `nohup` asks for
    that; but Ctrl-C is always handled. A handler that was not installed from Python stays.
    """
    before = {number: signal.getsignal(number) for number in signals}
    before = {
        number: old_handler
        for number, old_handler in before.items()
        if old_handler is not None and (old_handler != signal.SIG_IGN or number == signal.SIGINT)
    }
    try:
        for number in before:
            signal.signal(number, handler)
    except ValueError:
        before = {}  # not the main thread
    try:
        yield before
    finally:
        for number, old_handler in before.items():
            signal.signal(number, old_handler)
