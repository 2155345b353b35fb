"""Calls of functions in a process forked off the fork server."""

import os
import pickle
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import cloudpickle  # type: ignore[import-untyped]

from sweeper.errors import ConfigError, TrainingError
from sweeper.launch.early import current_server
from sweeper.launch.process import exit_with_parent

T = TypeVar("T")


def can_call_apart() -> bool:
    """Return whether there is a fork server."""
    return current_server() is not None


def call_apart(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a forked process, and return what it returns; all is pickled.

    It is called in this process if none can be forked.

    Raises:
        ConfigError: the function raised it.
        TrainingError: the function raised another error, or its process died.
    """
    server = current_server()
    own, other = socket.socketpair()
    lifeline_read, lifeline_write = os.pipe()
    try:
        descriptors = (other.fileno(), lifeline_read)
        entry = "sweeper.launch.apart:answer"
        process = server and server.fork(entry, dict(os.environ), descriptors)
        other.close()
        if not process:
            return function(*arguments)
        connection = Connection(own.detach())
        request = cloudpickle.dumps((function, arguments))
        try:
            connection.send_bytes(request)
            result, error = pickle.loads(connection.recv_bytes())
        except (EOFError, ConnectionError):
            raise TrainingError(
                f"the process of {function.__name__} ended with exit code {process.wait()}"
            ) from None
        finally:
            connection.close()
        process.wait()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]
    finally:
        own.close()
        other.close()
        os.close(lifeline_read)
        os.close(lifeline_write)


def answer(connection_descriptor: int, lifeline_descriptor: int) -> None:
    """Call the function that comes from the connection, and send what it returns or raises."""
    threading.Thread(target=exit_with_parent, args=(lifeline_descriptor,), daemon=True).start()
    connection = Connection(connection_descriptor)
    function, arguments = pickle.loads(connection.recv_bytes())
    result: Any = None
    error: Exception | None = None
    try:
        result = function(*arguments)
    except ConfigError as known:
        error = ConfigError(str(known))
    except Exception as other:
        error = TrainingError(f"{type(other).__name__}: {other}")
    connection.send_bytes(cloudpickle.dumps((result, error)))
