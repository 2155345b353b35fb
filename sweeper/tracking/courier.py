"""Delivery of the outboxes of several processes by one of them, so that the others need no MLflow.

A worker of a study hands its outbox to the courier of its command: the folder, and the open file
with the lock on it. From then on both own the outbox. The worker appends records, and the courier
delivers them. When the connection closes, the worker has finished the run or has died; the courier
then delivers the rest.

The address is that of a socket without a file, which ends with its process. Each side checks that
the other one belongs to the same user.
"""

import contextlib
import json
import logging
import os
import socket
import struct
import threading
import time
import uuid
from pathlib import Path

from sweeper.tracking.delivery import Delivery, deliver_until_closed
from sweeper.tracking.outbox import Outbox

log = logging.getLogger(__name__)

VARIABLE = "SWEEPER_COURIER"
"""The environment variable that names the courier of a command to its workers."""
_LONGEST_MESSAGE = 2**16


class Courier:
    """Deliverer of the outboxes that other processes hand over."""

    def __init__(self) -> None:
        self.name = f"sweeper-{uuid.uuid4().hex}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(f"\0{self.name}")
        self._listener.listen(64)
        self._deliveries: list[tuple[threading.Thread, Delivery]] = []
        threading.Thread(target=self._accept, name="courier", daemon=True).start()

    def wait(self, seconds: float, seconds_after_failure: float = 2.0) -> None:
        """Wait until all outboxes are delivered, and less long for a server that failed."""
        started = time.monotonic()
        for thread, delivery in list(self._deliveries):
            limit = seconds_after_failure if delivery.failure else seconds
            thread.join(max(0.0, started + limit - time.monotonic()))

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if not _is_own(connection):
                connection.close()
                continue
            content, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_MESSAGE, 1)
            if not content or not descriptors:
                connection.close()
                continue
            try:
                message = json.loads(content)
                outbox = Outbox.shared(Path(message["folder"]), descriptors[0])
                delivery = Delivery(outbox, uris=[message["uri"]])
            except (ValueError, TypeError, KeyError, OSError) as error:
                log.warning("tracking: an outbox was not handed over as it should be: %s", error)
                connection.close()
                continue
            thread = threading.Thread(
                target=_deliver, args=(delivery, connection), name="delivery", daemon=True
            )
            self._deliveries = [d for d in self._deliveries if d[0].is_alive()]
            self._deliveries.append((thread, delivery))
            thread.start()
            connection.send(b"taken")


class Handover:
    """An outbox in the hands of a courier, as the process sees it that appends the records."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @staticmethod
    def of(outbox: Outbox, uri: str) -> "Handover | None":
        """Hand an outbox over to the courier of this process's command, if there is one.

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
                if connection.recv(16):
                    return Handover(connection)
        except OSError:  # the courier has died
            pass
        connection.close()
        return None

    def finish(self) -> bool:
        """Leave the rest to the courier; return whether it lives."""
        self._connection.setblocking(False)
        try:
            return bool(self._connection.recv(1))  # nothing is sent: the end of the connection
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._connection.close()


def has_courier() -> bool:
    """Return whether the command of this process has a courier."""
    return bool(os.environ.get(VARIABLE))


def _deliver(delivery: Delivery, connection: socket.socket) -> None:
    """Deliver an outbox until its owner has closed the connection, and what is left then."""
    closing = threading.Event()

    def wait_for_owner() -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1)
        delivery.outbox.conclude()
        closing.set()

    threading.Thread(target=wait_for_owner, name="owner", daemon=True).start()
    deliver_until_closed(delivery, closing)


def _is_own(connection: socket.socket) -> bool:
    """Return whether the process at the other end belongs to the same user."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())
