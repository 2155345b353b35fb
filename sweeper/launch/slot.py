"""A worker process of the pool in `local`, and the ways to start one."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from sweeper.launch.child import ChildProcess, child_environment, start_child
from sweeper.launch.early import current_server
from sweeper.launch.spawned import SpawnedProcess


@dataclass(frozen=True)
class Job:
    """A Hydra job."""

    number: int
    overrides: list[str]


class Process(Protocol):
    """What the pool needs of a process.

    A signal handler may call `send_signal` and `kill` in the middle of `wait`.
    """

    @property
    def returncode(self) -> int | Any: ...

    def has_ended(self) -> bool: ...

    def wait(self) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Slot:
    """A worker process, with its share of the machine and the job that it runs.

    Args:
        environment: Environment variables with the process's threads and GPU.
        process: The process.
        connection: Connection over which jobs are sent and results are received.
        lifeline: Connection that closes when the parent dies; the process then exits.
        ready: True once the process has imported the task.
        early_deaths: Number of processes in a row that died in this slot before they were ready.
        job: The running job; None if the process is idle.
    """

    environment: dict[str, str]
    process: Process
    connection: Connection
    lifeline: Connection
    ready: bool = False
    early_deaths: int = 0
    job: Job | None = None

    def close(self) -> None:
        """Wait until the process has ended; it ends by itself when the connection closes."""
        self.connection.close()
        self.process.wait()
        self.lifeline.close()

    def exit_cause(self) -> str:
        """Return how the process ended, once it is closed, for messages."""
        returncode = self.process.returncode
        if returncode == 0:
            return "was asked to end"
        if returncode > 0:
            return f"ended with exit code {returncode}"
        return f"was killed by {signal.Signals(-returncode).name}"


def start_slot(environment: dict[str, str], payload: bytes) -> Slot:
    """Start a worker process in its own session.

    The terminal's Ctrl-C then reaches only the parent, which decides what to do.
    """
    if not hasattr(os, "fork"):
        spawned = SpawnedProcess(environment)
        slot = Slot(environment, spawned, spawned.connection, spawned.lifeline)
    else:
        slot = _with_descriptors(environment)
    # If the process has died already, the next read from the connection raises EOFError.
    with contextlib.suppress(BrokenPipeError):
        slot.connection.send_bytes(payload)
    return slot


def _with_descriptors(environment: dict[str, str]) -> Slot:
    parent_socket, child_socket = socket.socketpair()
    lifeline_read, lifeline_write = os.pipe()
    variables = child_environment(environment)
    descriptors = (child_socket.fileno(), lifeline_read)
    process = _forked(variables, descriptors) or ChildProcess(
        start_child("sweeper.launch.process", descriptors, environment=variables)
    )
    child_socket.close()
    os.close(lifeline_read)
    connection = Connection(parent_socket.detach())
    return Slot(environment, process, connection, Connection(lifeline_write))


def _forked(variables: dict[str, str], descriptors: tuple[int, int]) -> Process | None:
    """Fork a worker process that has imported everything; return None if that cannot be done."""
    if (server := current_server()) is None:
        return None
    return server.fork("sweeper.launch.process:main", variables, descriptors)
