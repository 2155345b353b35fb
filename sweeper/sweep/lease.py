"""A worker's claim on a running trial.

A lease lapses when its worker dies or stops renewing it.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
LEASE_KEY = "sweeper:lease"
RENEWALS_PER_LEASE = 3


@dataclass(frozen=True)
class Lease:
    """A worker's claim on a running trial.

    Args:
        token: Identifier of this lease.
        host: Identifier of the process table in which `pid` is valid, see `this_host`.
        pid: Process that runs the trial.
        started: Start time of that process. It distinguishes two processes with the same `pid`.
        expires: Time at which the lease lapses unless renewed, in seconds since the epoch.
        deaths: Number of earlier attempts at this trial that ended with their worker's death.
        cuts: Number of all earlier attempts that did not finish the trial: those that ended with
            a death, and those whose worker put the trial back.
    """

    token: str
    host: str
    pid: int
    started: str
    expires: float
    deaths: int = 0
    cuts: int = 0

    @staticmethod
    def new(seconds: float, deaths: int = 0, cuts: int = 0) -> "Lease":
        """Return a new lease for this process."""
        pid = os.getpid()
        token, expires = uuid.uuid4().hex, time.time() + seconds
        return Lease(token, this_host(), pid, process_start(pid) or "", expires, deaths, cuts)

    @staticmethod
    def read(system_attrs: dict[str, Any]) -> "Lease | None":
        """Return the lease in a trial's system attributes, or None if there is none."""
        record = system_attrs.get(LEASE_KEY)
        return Lease(**record) if record else None

    def record(self) -> dict[str, Any]:
        """Return the lease as JSON."""
        return asdict(self)

    def lapsed(self, now: float) -> bool:
        """Return whether the lease has expired, or its process on this host is dead."""
        if now > self.expires:
            return True
        return self.host == this_host() and process_start(self.pid) != self.started


@cache
def this_host() -> str:
    """Return an identifier of this machine's process table: host, boot and process namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    if boot.exists() and namespace.exists():
        parts += [boot.read_text().strip(), str(namespace.stat().st_ino)]
    return "/".join(parts)


def process_start(pid: int) -> str | None:
    """Return the start time of process `pid` in kernel ticks, or None if it does not run.

    Systems without `/proc` do not tell the start time; the text is then empty.
    """
    if Path("/proc/self/stat").exists():
        return _linux_start(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def _linux_start(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may contain spaces and brackets, so fields are counted after the last one.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


class Renewer:
    """Context manager that renews a lease from a thread while its trial runs.

    `renew` writes the lease, and returns False when the trial no longer belongs to this worker.
    """

    def __init__(self, renew: Callable[[], bool], lease_seconds: float) -> None:
        self._renew, self._interval_seconds = renew, lease_seconds / RENEWALS_PER_LEASE
        self._stop, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """True once another worker has taken the trial over."""
        return self._lost.is_set()

    def __enter__(self) -> "Renewer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            try:
                if not self._renew():
                    self._lost.set()
                    return
            except Exception:
                # The storage may be reachable again before the lease lapses.
                log.exception("Could not renew the lease of the running trial")
