"""The end of processes."""

import subprocess
import threading
import time

import pytest

from sweeper.cli.leaving import reap


@pytest.mark.parametrize("can_start_threads", [True, False])
def test_a_killed_process_is_waited_for(monkeypatch, can_start_threads) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    process = subprocess.Popen(["sleep", "100"])
    process.kill()
    with monkeypatch.context() as patch:
        if not can_start_threads:
            patch.setattr(threading.Thread, "start", refuse)
        reap(process)
    deadline = time.monotonic() + 10
    while process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.returncode == -9
