"""The end of processes."""

import subprocess
import sys
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


def test_the_text_of_an_exit_is_printed() -> None:
    code = "import sys; from sweeper.cli.leaving import leave; leave(sys.exit, 'no such thing')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "no such thing\n")
