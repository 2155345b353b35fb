"""Ctrl-C in two steps: once, running trials are put back to be resumed; twice, stop at once."""

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """Counts SIGINT and SIGTERM while it is entered; the second one raises KeyboardInterrupt.

    Outside a process's main thread, where signals cannot be caught, it never fires by itself.
    """

    def __init__(self) -> None:
        self.requested = False
        self._pid = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A forked child, such as a data loader's, has inherited this handler: die as asked.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self.requested:
            raise KeyboardInterrupt
        else:
            self.requested = True
