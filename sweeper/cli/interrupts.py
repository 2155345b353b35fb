"""Ctrl-C in two steps: the first one asks for an orderly end, the second one ends at once."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """A context manager that handles signals.

    The first signal sets `requested` and calls `on_first`. The second signal calls `on_second` and
    raises KeyboardInterrupt. Outside the main thread, to which Python does not deliver signals,
    the context manager does nothing.
    """

    def __init__(
        self,
        on_first: Callable[[], object] | None = None,
        on_second: Callable[[], object] | None = None,
        signals: Sequence[signal.Signals] = SIGNALS,
    ) -> None:
        self.requested = False
        self._on_first, self._on_second = on_first, on_second
        self._pid = os.getpid()
        self._handling = handling(self._handle, signals)

    def __enter__(self) -> "Interrupt":
        self._handling.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handling.__exit__(None, None, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            self._handle_in_child(number)
        elif not self.requested:
            self.requested = True
            if self._on_first is not None:
                self._on_first()
        else:
            if self._on_second is not None:
                self._on_second()
            raise KeyboardInterrupt

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
    """Make SIGTERM raise KeyboardInterrupt, as SIGINT does."""
    with handling(signal.default_int_handler):
        yield


@contextmanager
def handling(handler: Handler, signals: Sequence[signal.Signals] = SIGNALS) -> Iterator[None]:
    """Install a signal handler for the duration of the context, if this is the main thread."""
    before = {number: signal.getsignal(number) for number in signals}
    try:
        for number in before:
            signal.signal(number, handler)
    except ValueError:
        before = {}  # not the main thread
    try:
        yield
    finally:
        for number, old_handler in before.items():
            signal.signal(number, old_handler)
