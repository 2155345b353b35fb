"""A worker's claim on a running trial.

A lease lapses when its worker dies or stops renewing it. On the worker's own host, its process is
looked up. The clocks of two hosts may disagree. `LeaseJudge` therefore measures by its own clock
how long a lease of another host was not renewed.
"""

import os
import signal
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

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
        command: Identifier of the command that started the process.
        renewals: Number of times that the lease was renewed.
        progress: Progress of the trial when this attempt began, see `curve.progress_of`.
        deaths: Number of earlier attempts that ended with their worker's death, since the trial
            last made progress.
        cuts: Number of all earlier attempts that did not finish the trial: those that ended with
            a death, and those whose worker put the trial back.
        folder: Identifier of the study's folder in which the trial has its files.
        seconds: How long the lease lasts unless it is renewed; 0 if an earlier version wrote it.
    """

    token: str
    host: str
    pid: int
    started: str
    command: str = ""
    renewals: int = 0
    progress: int = 0
    deaths: int = 0
    cuts: int = 0
    folder: str = ""
    seconds: float = 0.0

    @staticmethod
    def new(
        command: str = "",
        progress: int = 0,
        deaths: int = 0,
        cuts: int = 0,
        folder: str = "",
        seconds: float = 0.0,
    ) -> "Lease":
        """Return a new lease for this process."""
        pid = os.getpid()
        token, started = uuid.uuid4().hex, process_start(pid) or ""
        return Lease(
            token, this_host(), pid, started, command, 0, progress, deaths, cuts, folder, seconds
        )

    @staticmethod
    def read(system_attrs: Mapping[str, Any]) -> "Lease | None":
        """Return the lease in a trial's system attributes, or None if there is none."""
        record = system_attrs.get(LEASE_KEY)
        if not record:
            return None
        known = {f.name for f in fields(Lease)}  # other versions may have further fields
        return Lease(**{name: value for name, value in record.items() if name in known})

    def record(self) -> dict[str, Any]:
        """Return the lease as JSON."""
        return asdict(self)

    @property
    def host_name(self) -> str:
        """Name of the host, for messages."""
        return self.host.partition("/")[0]

    @property
    def is_of_this_host(self) -> bool:
        """True if its worker runs, or ran, on this host, maybe before the last boot."""
        return self.host_name == this_host().partition("/")[0]

    @property
    def worker(self) -> str:
        """Name of the worker: its host and process."""
        return f"{self.host_name} {self.pid}"

    def lasts(self, seconds: float) -> float:
        """Return how long it lasts unless it is renewed, for a process whose leases last `seconds`.

        Two commands may have different settings. The longer one keeps a live trial.
        """
        return max(self.seconds, seconds)

    def process_is_alive(self) -> bool | None:
        """Return whether its process runs, or None if this host cannot tell."""
        if self.host != this_host():
            return None
        start = process_start(self.pid)
        # Without start times, a process with the same number may be another one.
        return None if start == "" else start == self.started

    def was_left_by_this_process(self, command: str) -> bool:
        """Return whether an earlier command of this very process has left the trial behind.

        A notebook's process runs commands one after another; `command` is the one that runs.
        """
        is_own = self.pid == os.getpid() and self.process_is_alive() is True
        return is_own and self.command != command


class Standing(Enum):
    """What is known of a lease: its worker lives, it has lapsed, or time must tell."""

    ALIVE = "alive"
    LAPSED = "lapsed"
    UNKNOWN = "unknown"


class LeaseJudge:
    """Judge of the leases of other workers, by this process's own clock.

    A lease whose process cannot be looked up has lapsed once it was seen without a renewal for
    `seconds`, or for longer if it lasts longer itself. The time adds up over looks that are at most
    as far apart; after a longer gap, in which the storage may have been away for its worker too, it
    starts again.

    `command` identifies the command that this process runs.
    """

    def __init__(self, seconds: float, command: str = "") -> None:
        self._seconds, self._command = seconds, command
        self._seen: dict[int, _Sighting] = {}

    def standing(self, trial_id: int, lease: Lease | None) -> Standing:
        """Return the standing of the lease of a running trial; None means that it has none."""
        if lease is not None and lease.was_left_by_this_process(self._command):
            return Standing.LAPSED
        alive = None if lease is None else lease.process_is_alive()
        if alive is not None:
            return Standing.ALIVE if alive else Standing.LAPSED
        now, mark = time.monotonic(), (lease.token, lease.renewals) if lease else ("", 0)
        seconds = self._seconds if lease is None else lease.lasts(self._seconds)
        before = self._seen.get(trial_id)
        if before is None or before.mark != mark or now - before.last > seconds:
            renewed = before is not None and before.mark[0] == mark[0] and before.mark != mark
            self._seen[trial_id] = _Sighting(mark, now, now, renewed)
        else:
            before.last = now
        sighting = self._seen[trial_id]
        if now - sighting.first > seconds:
            return Standing.LAPSED
        return Standing.ALIVE if sighting.renewed else Standing.UNKNOWN


@dataclass
class _Sighting:
    """The first and the last look at a lease since its last renewal, in monotonic seconds."""

    mark: tuple[str, int]
    first: float
    last: float
    renewed: bool


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

    The text is empty if the system does not tell: it may have no `/proc`, or one that hides the
    processes of other users (`hidepid`).
    """
    if Path("/proc/self/stat").exists():
        with suppress(OSError):
            return _linux_start(pid)
    if hasattr(signal, "CTRL_C_EVENT"):  # on Windows signal 0 is that of Ctrl-C
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def _linux_start(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The command's name may contain spaces and brackets, so fields are counted after the last one.
    fields_after_name = stat.rpartition(")")[2].split()
    return None if fields_after_name[0] in "ZX" else fields_after_name[19]
