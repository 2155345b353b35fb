"""Delivery of the outboxes of several processes by one of them, so that the others need no MLflow.

A worker of a study hands its outbox to the courier of its command: the folder, and the open file
with the lock on it. From then on both own the outbox. The worker appends records, and the courier
delivers them. When the connection closes, the worker has finished the run or has died; the courier
then delivers the rest.

A courier has imported MLflow, so it writes networks as models too, for those who ask it.

The address is that of a socket without a file, which ends with its process. Each side checks that
the other one belongs to the same user.
"""

import contextlib
import json
import logging
import os
import pickle
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sweeper.tracking.delivery import Delivery, deliver_until_closed
from sweeper.tracking.model_files import ModelError, rehearse, write_model
from sweeper.tracking.outbox import Outbox
from sweeper.tracking.tracker import BuildModel

log = logging.getLogger(__name__)

VARIABLE = "SWEEPER_COURIER"
"""The environment variable that names the courier of a command to its workers."""
_LONGEST_MESSAGE = 2**16
_HANDOVER_SECONDS = 10.0
"""The longest wait for an owner that has called, but sends nothing."""
_TAKEN, _WRITTEN, _BUSY = b"taken", b"written", b"busy"


class Courier:
    """Deliverer of the outboxes that other processes hand over.

    `on_model` is called each time the courier has written a model.
    """

    def __init__(self, on_model: Callable[[], object] = lambda: None) -> None:
        self._on_model = on_model
        self.name = f"sweeper-{uuid.uuid4().hex}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(f"\0{self.name}")
        self._listener.listen(64)
        self._deliveries: list[tuple[threading.Thread, Delivery]] = []
        self._models = threading.Lock()
        """Held while one of the next two is read or set."""
        self._writes_models = self._has_refused = False
        threading.Thread(target=self._accept, name="courier", daemon=True).start()

    def wait(self, seconds: float, seconds_after_failure: float = 2.0) -> list[Delivery]:
        """Wait until all outboxes are delivered, and less long for a server that failed.

        Return the deliveries that still go on.
        """
        started, deliveries = time.monotonic(), list(self._deliveries)
        for thread, delivery in deliveries:
            limit = min(seconds, seconds_after_failure) if delivery.is_away else seconds
            thread.join(max(0.0, started + limit - time.monotonic()))
        return [delivery for thread, delivery in deliveries if thread.is_alive()]

    def write_models(self) -> None:
        """Write the models of the owners from now on, and import what that needs.

        Do nothing if an owner had to write a model itself already: there is one in a study.
        """
        with self._models:
            if self._has_refused:
                return
            self._writes_models = True
        try:
            rehearse()
        except (ModelError, OSError) as error:  # the model of the study will say so
            log.debug("tracking: no model can be written: %s", error)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # such as too many open files
                log.warning(
                    "tracking: runs deliver their records themselves from now on: %s", error
                )
                self._listener.close()  # those that wait for it, or come later, see that it is gone
                return
            try:
                self._take(connection)
            except Exception as error:  # of one owner; the others still need a courier
                log.warning("tracking: an outbox was not handed over as it should be: %s", error)
                connection.close()

    def _take(self, connection: socket.socket) -> None:
        """Receive an outbox, and begin to deliver it."""
        if not _is_own(connection):
            connection.close()
            return
        connection.settimeout(_HANDOVER_SECONDS)
        content, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_MESSAGE, 1)
        connection.settimeout(None)
        if not content or not descriptors:
            connection.close()
            return
        message = json.loads(content)
        outbox = Outbox.shared(Path(message["folder"]), descriptors[0])
        delivery = Delivery(outbox, uris=[message["uri"]])
        thread = threading.Thread(
            target=self._deliver, args=(delivery, connection), name="delivery", daemon=True
        )
        thread.start()
        self._deliveries = [d for d in self._deliveries if d[0].is_alive()] + [(thread, delivery)]
        with contextlib.suppress(OSError):  # the owner may have died; its records are delivered
            connection.send(_TAKEN)

    def _deliver(self, delivery: Delivery, connection: socket.socket) -> None:
        """Deliver an outbox until its owner has closed the connection, and what is left then."""
        closing = threading.Event()

        def serve_owner() -> None:
            with connection, contextlib.suppress(OSError):
                while request := connection.recv(_LONGEST_MESSAGE):
                    answer = self._answer(request)
                    connection.send(answer)
                    if answer == _WRITTEN:
                        self._on_model()
            delivery.outbox.conclude()
            closing.set()

        threading.Thread(target=serve_owner, name="owner", daemon=True).start()
        deliver_until_closed(delivery, closing)

    def _answer(self, request: bytes) -> bytes:
        """Write the model that an owner asks for; return what came of it, or why it cannot be."""
        with self._models:
            self._has_refused |= not self._writes_models
            if not self._writes_models:
                return _BUSY
        try:
            build, folder = pickle.loads(request)  # of a process of this user
            write_model(build, folder)
        except ModelError as error:
            return str(error).encode()[:_LONGEST_MESSAGE]
        except Exception as error:  # the owner tries it itself
            log.debug("tracking: a model was not asked for as it should be: %s", error)
            return _BUSY
        return _WRITTEN


class Handover:
    """An outbox in the hands of a courier, as the process sees it that appends the records."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._was_taken: bool | None = None  # unknown until it is asked for
        self._has_asked = False

    @staticmethod
    def of(outbox: Outbox, uri: str) -> "Handover | None":
        """Hand an outbox over to the courier of this process's command, if there is one.

        Its answer is waited for only when it matters: a busy courier would delay the run.

        uri: the tracking URI with its password.
        """
        name = os.environ.get(VARIABLE)
        if not name:
            return None
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(f"\0{name}")
            if _is_own(connection):
                message = json.dumps({"folder": str(outbox.folder), "uri": uri}).encode()
                socket.send_fds(connection, [message], [outbox.fileno()])
                return Handover(connection)
        except OSError:  # the courier has died
            pass
        connection.close()
        return None

    def ask_for_model(self, build: BuildModel, folder: Path) -> None:
        """Let the courier write a model to `folder`; `has_written_model` returns whether it did."""
        if not self._is_taken():
            return
        try:
            self._connection.send(pickle.dumps((build, folder)))
            self._has_asked = True
        except (OSError, pickle.PicklingError, AttributeError, TypeError):
            self._has_asked = False

    def has_written_model(self) -> bool:
        """Wait for the answer to `ask_for_model`, and return whether the model is written.

        Raises:
            ModelError: the network cannot be built, or torch cannot export it.
        """
        if not self._has_asked:
            return False
        self._has_asked = False
        try:
            answer = self._connection.recv(_LONGEST_MESSAGE)
        except OSError:
            return False
        if answer in (_WRITTEN, _BUSY, b""):
            return answer == _WRITTEN
        raise ModelError(answer.decode(errors="replace"))

    def finish(self) -> bool:
        """Leave the rest to the courier; return whether it lives, and has taken the outbox."""
        try:
            if not self._is_taken():
                return False
            self._connection.setblocking(False)
            return bool(self._connection.recv(1))  # nothing is sent: the end of the connection
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._connection.close()

    def _is_taken(self) -> bool:
        """Wait until the courier has answered the handover; return whether it has the outbox."""
        if self._was_taken is None:
            try:
                self._was_taken = self._connection.recv(_LONGEST_MESSAGE) == _TAKEN
            except OSError:
                self._was_taken = False
        return self._was_taken


def has_courier() -> bool:
    """Return whether the command of this process has a courier."""
    return bool(os.environ.get(VARIABLE))


def _is_own(connection: socket.socket) -> bool:
    """Return whether the process at the other end belongs to the same user."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())
