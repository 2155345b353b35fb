"""The parent's side of a fork server, whose program is `server`."""

import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeper.cli.leaving import reap
from sweeper.launch.child import child_environment, start_child
from sweeper.launch.orphans import has_pidfds
from sweeper.launch.resources import THREAD_VARIABLES

LOST = 1  # the exit code of a process whose server died, so that nobody knows it
WHOLE_GROUP = 4
"""The flag PIDFD_SIGNAL_PROCESS_GROUP of Linux 6.9 and later."""


def can_fork() -> bool:
    """Return whether this system can fork, and tell whether that is safe."""
    return hasattr(os, "fork") and has_pidfds() and Path("/proc/self/task").is_dir()


class ForkedProcess:
    """A process that a fork server has forked: a `local.Process`.

    What the process has started is killed if it ends with another exit code than 0.
    """

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        self._pidfd = os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self.returncode is not None or bool(self._poll().poll(0))

    def wait(self) -> int:
        """Wait until the process has ended; return its exit code, negative for a signal."""
        if self.returncode is None:
            self._poll().poll()
            content = os.read(self._status, 32)
            if not content:  # the server kills what the process has started, unless it has died
                with suppress(OSError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL, None, WHOLE_GROUP)
            self.returncode = int(content) if content else LOST
            os.close(self._status)
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def _poll(self) -> "select.poll":  # Windows has none
        poll = select.poll()  # unlike `select`, it takes descriptors of any number
        poll.register(self._pidfd, select.POLLIN)
        return poll


class ForkServer:
    """A fork server that imports `modules`."""

    def __init__(self, modules: Sequence[str]) -> None:
        own, other = socket.socketpair()
        # Libraries start threads when they are imported, unless they are told to use one alone.
        environment = child_environment(dict.fromkeys(THREAD_VARIABLES, "1"))
        with other:
            self._process = start_child(
                "sweeper.launch.server", [other.fileno()], modules, environment
            )
        self._socket = own
        self._connection: Any = None

    def load(self, content: bytes) -> None:
        """Let the server import what a pickled object needs."""
        try:
            self._connected().send(("load", content))
        except ConnectionError:
            return  # `fork` fails too

    def fork(
        self, entry: str, environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> ForkedProcess | None:
        """Fork a process that calls the function `entry` (`module:name`) with the descriptors.

        Return None if the server has died, or cannot fork safely.
        """
        from multiprocessing import reduction

        status_read, status_write = os.pipe()
        try:
            request = ("fork", entry, dict(environment), len(descriptors) + 1)
            self._connected().send(request)
            reduction.sendfds(self._socket, [*descriptors, status_write])
            pid = self._connected().recv()
            if pid > 0:
                return ForkedProcess(pid, status_read)
        except (OSError, EOFError):
            pid = 0
        finally:
            os.close(status_write)
        os.close(status_read)
        return None

    def close(self) -> None:
        """End the server; the processes that it has forked go on."""
        self._process.kill()
        reap(self._process)
        if self._connection is not None:
            self._connection.close()
        self._socket.close()

    def _connected(self) -> Any:
        if self._connection is None:
            # Imported here, since the server is started before anything else is imported.
            from multiprocessing.connection import Connection

            self._connection = Connection(os.dup(self._socket.fileno()))
        return self._connection
