"""Orders to a worker process that gets no signals; e2e/test_other_systems.py starts real ones."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from sweeper.cli.interrupts import Interrupt
from sweeper.launch import spawned


def test_the_parents_orders_become_signals_and_its_end_is_the_processes_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    parent, child = multiprocessing.Pipe()
    threading.Thread(target=spawned._obey, args=(child,), daemon=True).start()
    with Interrupt() as interrupt:
        parent.send(int(signal.SIGINT))
        deadline = time.monotonic() + 30
        while not interrupt.requested and time.monotonic() < deadline:
            time.sleep(0.001)
    assert interrupt.number == signal.SIGINT
    parent.close()
    assert ended.wait(30)
