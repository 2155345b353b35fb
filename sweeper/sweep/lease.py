"""A worker's claim on a running trial: it lapses when its owner dies or stops renewing it."""

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
RENEWALS_A_LEASE = 3


@dataclass(frozen=True)
class Lease:
    """Who runs a trial, until when (`expires`, seconds since the epoch), and after how many deaths.

    `host` names one process table; `started` tells two processes of the same `pid` apart.
    `cuts` counts the earlier attempts that were cut short, by death or by choice.
    """

    token: str
    host: str
    pid: int
    started: str
    expires: float
    deaths: int = 0
    cuts: int = 0

    @staticmethod
    def take(seconds: float, deaths: int = 0, cuts: int = 0) -> "Lease":
        """Return a new lease of this process."""
        pid = os.getpid()
        token, expires = uuid.uuid4().hex, time.time() + seconds
        return Lease(token, this_host(), pid, process_start(pid) or "", expires, deaths, cuts)

    @staticmethod
    def read(system_attrs: dict[str, Any]) -> "Lease | None":
        """Return the lease on a trial's record, or None where its owner never got to write one."""
        record = system_attrs.get(LEASE_KEY)
        return Lease(**record) if record else None

    def record(self) -> dict[str, Any]:
        """Return the lease as JSON."""
        return asdict(self)

    def lapsed(self, now: float) -> bool:
        """Tell whether the owner is gone: expired, or dead on this very host."""
        if now > self.expires:
            return True
        return self.host == this_host() and process_start(self.pid) != self.started


@cache
def this_host() -> str:
    """Name this machine's process table: host, boot and process namespace."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    if boot.exists() and namespace.exists():
        parts += [boot.read_text().strip(), str(namespace.stat().st_ino)]
    return "/".join(parts)


def process_start(pid: int) -> str | None:
    """Return when process `pid` started, in the kernel's ticks, or None if it does not run.

    Without `/proc` all that can be told is that it runs: the answer is then an empty string.
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
    # The command's name may hold spaces and brackets; the fields after the last one do not.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


class Renewer:
    """Renews a lease from a thread while its trial runs; a context manager.

    `renew` writes the lease and tells whether it is still this worker's.
    """

    def __init__(self, renew: Callable[[], bool], lease_seconds: float) -> None:
        self._renew, self._pause = renew, lease_seconds / RENEWALS_A_LEASE
        self._end, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another worker has taken the trial over."""
        return self._lost.is_set()

    def __enter__(self) -> "Renewer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._pause):
            try:
                if not self._renew():
                    self._lost.set()
                    return
            except Exception:
                # A storage that is away may be back before the lease lapses.
                log.exception("Could not renew the lease of the running trial")
