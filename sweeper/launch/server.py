"""The program of a fork server: import modules once, then fork a process for each request.

    python -m sweeper.launch.server DESCRIPTOR MODULE...

The modules are imported first. Forked processes share their memory, and start in milliseconds. The
descriptor is that of a socket; `fork_server` is its other end. The server ends when it closes.

A process that has started threads, or uses a GPU, cannot be forked. The server then refuses.
"""

import gc
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sweeper.cli.leaving import leave
from sweeper.launch.orphans import kill_orphans_of
from sweeper.launch.resources import THREAD_VARIABLES

REFUSED = -1


class Server:
    """A fork server and the processes that it has forked."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)
        self._status_of: dict[int, int] = {}
        """The pipe to which the exit code of each process is written."""
        self._wakeup = _wakeup_by(signal.SIGCHLD)

    def serve(self) -> None:
        """Answer requests until the connection closes."""
        while True:
            watched: list[Any] = [self._connection, self._wakeup]
            ready, _, _ = select.select(watched, [], [])
            if self._wakeup in ready:
                self._wakeup.recv(4096)
                self._report_ended()
            if self._connection in ready:
                try:
                    self._answer()
                except (EOFError, ConnectionError):
                    return

    def _answer(self) -> None:
        match self._connection.recv():
            case "load", bytes(content):
                _load(content)
            case "fork", str(entry), dict(environment), int(n_descriptors):
                with socket.socket(fileno=os.dup(self._connection.fileno())) as receiver:
                    descriptors = reduction.recvfds(receiver, n_descriptors)
                self._connection.send(self._fork(entry, environment, descriptors))

    def _fork(self, entry: str, environment: Mapping[str, str], descriptors: Sequence[int]) -> int:
        """Fork a process that calls `entry` with all descriptors but the last; return its id.

        The exit code is written to the last descriptor. Return `REFUSED` if forking is unsafe, or
        if the system has no room for another process.
        """
        try:
            pid = os.fork() if is_safe_to_fork() else REFUSED
        except OSError:
            pid = REFUSED
        if pid == 0:
            self._close()
            leave(_run_child, entry, environment, descriptors)
        for descriptor in descriptors[: -1 if pid != REFUSED else None]:
            os.close(descriptor)
        if pid != REFUSED:
            self._status_of[pid] = descriptors[-1]
        return pid

    def _close(self) -> None:
        """Close, in a forked process, what belongs to the server."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._wakeup.close()
        self._connection.close()
        for descriptor in self._status_of.values():
            os.close(descriptor)

    def _report_ended(self) -> None:
        """Write the exit codes of the processes that have ended."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while self._status_of and (ended := os.waitid(os.P_ALL, 0, options)) is not None:
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            status = self._status_of.pop(ended.si_pid, None)
            # Before the process is reaped, so that its id is its own until the parent knows.
            if code != 0:
                kill_orphans_of(ended.si_pid)
            if status is not None:
                _write(status, f"{code}\n".encode())
            os.waitpid(ended.si_pid, 0)


def is_safe_to_fork() -> bool:
    """Return whether this process has one thread only, and no GPU."""
    n_threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    return threading.active_count() == n_threads == 1 and not _uses_gpu()


def _uses_gpu() -> bool:
    files = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    return any(file.startswith("/dev/nvidia") for file in files)


def _run_child(entry: str, environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
    os.setsid()
    os.close(descriptors[-1])
    gc.enable()
    os.environ.clear()
    os.environ.update(environment)
    _use_threads(environment)
    if "numpy" in sys.modules:  # Python's own generator is seeded anew by the fork
        sys.modules["numpy"].random.seed()
    module, _, name = entry.partition(":")
    function: Callable[..., None] = getattr(importlib.import_module(module), name)
    function(*descriptors[:-1])


def _use_threads(environment: Mapping[str, str]) -> None:
    """Set the number of threads of the libraries that read it when they were imported."""
    if all(environment.get(name) == "1" for name in THREAD_VARIABLES):
        return  # as in the server
    # OpenMP takes a list too, with a number for each level of nesting, and ignores what is none.
    first = environment.get(THREAD_VARIABLES[0], "").partition(",")[0].strip()
    number = int(first) if first.isdecimal() else 0
    if number == 0:
        return
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(limits=number)


def _load(content: bytes) -> None:
    """Unpickle an object, which imports the modules that it needs, and forget it."""
    try:
        pickle.loads(content)
    except Exception:  # the process that needs it says so
        return


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception:  # the process that needs it says so
            continue


def _warm_up() -> None:
    """Let Hydra find its plugins and build the tables of its parser, once for all processes."""
    if "hydra" in sys.modules:
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from hydra.core.plugins import Plugins

        Plugins.instance()
        OverridesParser.create().parse_override("key=[1,text]")


def _wakeup_by(number: int) -> socket.socket:
    """Return a socket that can be read after each signal of this number."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    signal.signal(number, lambda *_: None)
    return reader


def _write(descriptor: int, content: bytes) -> None:
    try:
        os.write(descriptor, content)
    except OSError:  # the parent has died
        pass
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str]) -> None:
    """Import the modules and serve."""
    gc.disable()  # nothing that an import creates is garbage
    server = Server(int(arguments[0]))
    _import(arguments[1:])
    _warm_up()
    gc.freeze()
    server.serve()


if __name__ == "__main__":
    leave(main, sys.argv[1:])
