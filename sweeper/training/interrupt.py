"""Ctrl-C and SIGTERM: once ends a run gracefully, twice at once."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sweeper.training.state import RunState

log = logging.getLogger(__name__)

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def interruptible(state: RunState) -> Iterator[None]:
    """Let the first signal end the training loop after its batch, and the second at once."""
    parent = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != parent:
            return  # a process that reads data inherits the handler; its parent ends it
        log.warning("interrupted: saving after this batch; once more ends at once")
        state.interrupt()
        for known in (signal.SIGINT, signal.SIGTERM):
            signal.signal(known, signal.default_int_handler)

    with handling(interrupt):
        yield


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM, too, raise KeyboardInterrupt."""
    with handling(signal.default_int_handler):
        yield


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Handle both signals for a while; only the main thread of a process can."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, handler)
    except ValueError:
        before = {}  # another thread, which no signal ever reaches
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
