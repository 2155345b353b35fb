"""N processes of this machine that import the task once, stay, and are replaced when they die."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.cli.interrupts import Interrupt
from sweeper.errors import TrainingError
from sweeper.launch.process import READY
from sweeper.launch.resources import n_workers, worker_environment

log = logging.getLogger(__name__)
MAX_EARLY_DEATHS = 3  # A process that dies before it has imported the task will do so again.


@dataclass(frozen=True)
class Job:
    """One job: its number and its overrides."""

    number: int
    overrides: list[str]


@dataclass
class Slot:
    """A place for one process, with its share of the machine; processes come and go."""

    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    connection: Connection
    lifeline: int
    ready: bool = False
    early_deaths: int = 0
    job: Job | None = None

    def close(self) -> None:
        """Let the process end by itself and wait for it."""
        self.connection.close()
        self.process.wait()
        os.close(self.lifeline)


@dataclass
class LocalPool:
    """Runs jobs in local processes; what a Hydra launcher is set up with, and `n_jobs`."""

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    n_jobs: int | str = "auto"
    _slots: list[Slot] = field(default_factory=list)
    _interrupt: Interrupt = field(default_factory=Interrupt)

    def run(self, jobs: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        """Run every job and return their results in order.

        A process that dies is replaced; its job is run again only if the task says that it
        `pulls` its work, and fails otherwise. Ctrl-C once asks the jobs to end, twice kills them.
        """
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        queue = deque(Job(first_number + i, list(o)) for i, o in enumerate(jobs))
        self._announce(queue)
        self._interrupt = Interrupt(self._interrupt_jobs, self._kill, [signal.SIGINT])
        with self._interrupt:
            try:
                results = self._serve(queue)
            finally:
                self._end()
        return [results[number] for number in sorted(results)]

    def _announce(self, jobs: Sequence[Job]) -> None:
        if self._pulls():
            log.info("Starting %d workers", len(jobs))
            return
        for job in jobs:
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))

    def _serve(self, queue: deque[Job]) -> dict[int, JobReturn]:
        results: dict[int, JobReturn] = {}
        n_results, payload = len(queue), self._payload()
        n = len(queue) if self._pulls() else min(len(queue), n_workers(self.n_jobs))
        self._slots = [_start(worker_environment(i, n), payload) for i in range(n)]
        while len(results) < n_results:
            slots = {s.connection: s for s in self._slots}
            for connection in wait(list(slots)):
                slot = slots[connection]  # type: ignore[index]
                try:
                    self._receive(slot, queue, results)
                except (EOFError, ConnectionResetError):
                    self._replace(slot, queue, results, payload)
        return results

    def _receive(self, slot: Slot, queue: deque[Job], results: dict[int, JobReturn]) -> None:
        if not slot.ready:
            slot.ready = slot.connection.recv() == READY
            slot.early_deaths = 0
        else:
            result = cloudpickle.loads(slot.connection.recv_bytes())
            if slot.job is not None:
                results[slot.job.number] = result
                slot.job = None
        if queue and not self._interrupt.requested:
            slot.job = queue.popleft()
            slot.connection.send((slot.job.overrides, slot.job.number))
        elif queue:
            job = queue.popleft()
            results[job.number] = _failed(KeyboardInterrupt("interrupted before it began"))

    def _replace(
        self, slot: Slot, queue: deque[Job], results: dict[int, JobReturn], payload: bytes
    ) -> None:
        slot.close()
        cause = _death(slot.process.returncode)
        self._slots.remove(slot)
        if not slot.ready and slot.early_deaths + 1 >= MAX_EARLY_DEATHS:
            raise TrainingError(f"worker processes {cause} before they could import the task")
        if slot.job is not None and self._pulls() and not self._interrupt.requested:
            log.warning("A worker %s; starting another", cause)
            queue.appendleft(slot.job)
        elif slot.job is not None:
            results[slot.job.number] = _failed(ChildProcessError(f"the job's process {cause}"))
        if queue:
            fresh = _start(slot.environment, payload)
            fresh.early_deaths = 0 if slot.ready else slot.early_deaths + 1
            self._slots.append(fresh)

    def _interrupt_jobs(self) -> None:
        log.warning("Interrupted: running trials are being put back; once more to stop at once")
        for slot in self._slots:
            if slot.process.poll() is None:
                slot.process.send_signal(signal.SIGINT)

    def _kill(self) -> None:
        for slot in self._slots:
            slot.process.kill()

    def _end(self) -> None:
        for slot in self._slots:
            slot.close()
        self._slots = []

    def _pulls(self) -> bool:
        return getattr(self.task, "pulls", False)

    def _payload(self) -> bytes:
        state: Any = (Singleton.get_state(), self.context, self.config, self.task)
        return bytes(cloudpickle.dumps(state))


def _start(environment: dict[str, str], payload: bytes) -> Slot:
    """Start a process of its own session, so that the terminal's Ctrl-C reaches only the parent."""
    ours, theirs = socket.socketpair()
    lifeline_read, lifeline_write = os.pipe()
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeper.launch.process", str(theirs.fileno()), str(lifeline_read)],
        env={**os.environ, **environment, "PYTHONPATH": path},
        pass_fds=(theirs.fileno(), lifeline_read),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()
    os.close(lifeline_read)
    connection = Connection(ours.detach())
    # Should it have died at once, the connection's end says so to whoever reads it next.
    with contextlib.suppress(BrokenPipeError):
        connection.send_bytes(payload)
    return Slot(environment, process, connection, lifeline_write)


def _death(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    return f"was killed by {signal.Signals(-returncode).name}"


def _failed(error: BaseException) -> JobReturn:
    result = JobReturn()
    result.status, result.return_value = JobStatus.FAILED, error
    return result
