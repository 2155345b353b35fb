"""A process of this program that finds the same modules as this one."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sweeper.launch.orphans import kill_orphans_of


def child_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child process: this one's, with `variables`."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, **(variables or {}), "PYTHONPATH": path}


def start_child(
    module: str,
    descriptors: Sequence[int],
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `python -m MODULE DESCRIPTOR... ARGUMENT...` in a session of its own.

    A Ctrl-C in the terminal does not reach it. It inherits the descriptors. `environment` is
    `child_environment()` by default.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, descriptors), *arguments],
        env=child_environment() if environment is None else environment,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


class ChildProcess:
    """A worker process that this process has started: a `local.Process`.

    What the process has started is killed if it ends with another exit code than 0.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process, self._has_ended = process, False

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or None if the process was not waited for."""
        return self._process.returncode

    def has_ended(self) -> bool:
        """Return whether the process has ended, as far as the system tells."""
        self._has_ended = self._has_ended or self._look(os.WNOHANG)
        return self._has_ended

    def wait(self) -> int:
        """Wait until the process has ended; return its exit code, negative for a signal."""
        self._has_ended = self._has_ended or self._look()
        return self._process.wait()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        # Not by `Popen`, which waits for a dead process first, and so frees its number.
        if not self._has_ended and self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def _look(self, option: int = 0) -> bool:
        """Return whether the process has ended; without an option, wait for that.

        Its number stays its own until `Popen` waits for it.
        """
        if not hasattr(os, "waitid"):  # Python 3.12 on macOS
            return False
        try:
            options = os.WEXITED | os.WNOWAIT | option
            ended = os.waitid(os.P_PID, self._process.pid, options)
        except ChildProcessError:  # this process ignores the ends of its children
            return True
        if ended is not None and ended.si_status != 0:
            kill_orphans_of(self._process.pid)
        return ended is not None
