"""Ctrl-C in two steps: the first one asks for an orderly end, the second one ends at once."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Catches signals while it is entered.

    The first signal sets `requested` and calls `on_request`. The second one calls `on_order` and
    raises KeyboardInterrupt. Outside a process's main thread, where Python delivers no signals,
    nothing is caught.
    """

    def __init__(
        self,
        on_request: Callable[[], object] | None = None,
        on_order: Callable[[], object] | None = None,
        signals: Sequence[signal.Signals] = SIGNALS,
    ) -> None:
        self.requested = False
        self._on_request, self._on_order = on_request, on_order
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
            if self._on_request is not None:
                self._on_request()
        else:
            if self._on_order is not None:
                self._on_order()
            raise KeyboardInterrupt

    @staticmethod
    def _handle_in_child(number: int) -> None:
        """Act for a forked child, such as a data loader's process, which inherits the handler.

        A terminal sends Ctrl-C to the child too; its parent ends it when it is no longer needed.
        """
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as SIGINT does."""
    with handling(signal.default_int_handler):
        yield


@contextmanager
def handling(handler: Handler, signals: Sequence[signal.Signals] = SIGNALS) -> Iterator[None]:
    """Handle the signals for a while; do nothing in a thread that cannot."""
    before = {number: signal.getsignal(number) for number in signals}
    try:
        for number in before:
            signal.signal(number, handler)
    except ValueError:
        before = {}  # not the main thread
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
