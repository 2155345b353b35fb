"""Worker processes on a system that hands no descriptors over to a new process: on Windows.

`multiprocessing` starts them. A second connection takes the place of signals, and closes when one
of the two processes ends.
"""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from sweeper.cli.leaving import leave
from sweeper.launch.process import serve


class SpawnedProcess:
    """A worker process: a `local.Process`.

    Args:
        environment: Environment variables of the process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, its_connection = context.Pipe()
        self.lifeline, its_lifeline = context.Pipe()
        self._process = context.Process(
            target=main, args=(its_connection, its_lifeline), daemon=True
        )
        with _environment(environment):
            self._process.start()
        its_connection.close()
        its_lifeline.close()

    @property
    def returncode(self) -> int | None:
        """The exit code, or None if the process runs."""
        return self._process.exitcode

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self._process.exitcode is not None

    def wait(self) -> int:
        """Wait until the process has ended; return its exit code."""
        self._process.join()
        return self._process.exitcode or 0

    def send_signal(self, number: int) -> None:
        """Let the process raise a signal, unless it has ended."""
        with suppress(OSError):
            self.lifeline.send(int(number))

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the environment variables that a new process inherits."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(connection: Connection, lifeline: Connection) -> None:
    """Run jobs from the connection; exit at once if the parent dies."""
    _leave_ctrl_c_to_parent()
    threading.Thread(target=_obey, args=(lifeline,), daemon=True).start()
    leave(serve, connection)


def _leave_ctrl_c_to_parent() -> None:
    """Ignore the Ctrl-C of the console, which Windows sends to each of its processes."""
    if hasattr(ctypes, "windll"):
        ctypes.windll.kernel32.SetConsoleCtrlHandler(None, True)


def _obey(lifeline: Connection) -> None:
    """Raise the signals that the parent sends, and exit when it has ended."""
    with suppress(EOFError, OSError):
        while True:
            signal.raise_signal(lifeline.recv())
    os._exit(1)
