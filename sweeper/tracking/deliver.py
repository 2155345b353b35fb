"""`python -m sweeper.tracking.deliver [FOLDER] [--uri URI]`: deliver the records in FOLDER/outbox.

FOLDER may be that outbox itself; by default it is the current folder.

Records do not hold the password of their tracking URI. It is taken from `MLFLOW_TRACKING_URI` or
from URI; one of them must be the URI of the records. The variable is the safer place: others on
this machine can see a command line for a moment.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sweeper.secrets import hide_arguments, passwords_of, remember, without_password
from sweeper.tracking.delivery import Delivery
from sweeper.tracking.outbox import abandoned_outboxes

log = logging.getLogger("sweeper.tracking.deliver")


def deliver(folder: Path, uris: Sequence[str] = ()) -> int:
    """Try to deliver each abandoned outbox once; return the number of failures.

    `uris` are tracking URIs with their passwords.
    """
    deliveries = [Delivery(outbox, uris=uris) for outbox in abandoned_outboxes(folder / "outbox")]
    for delivery in deliveries:
        delivery.attempt_abandoned()
    failures = [delivery.failure for delivery in deliveries if delivery.failure]
    log.info("delivered %d of %d runs", len(deliveries) - len(failures), len(deliveries))
    if failures:
        log.warning("%d could not be delivered: %s", len(failures), failures[0])
    return len(failures)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(without_password(message))


def main() -> None:
    """Deliver all abandoned outboxes; exit with status 1 if one could not be delivered."""
    parser = _Parser(
        prog="python -m sweeper.tracking.deliver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path.cwd())
    parser.add_argument("--uri", action="append", default=[])
    arguments = parser.parse_args()
    hide_arguments(argument for argument in sys.argv[1:] if passwords_of(argument))
    for uri in arguments.uri:
        remember(uri)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = arguments.folder.absolute()
    # The lines about records that wait name the outbox itself.
    if folder.name == "outbox" and not (folder / "outbox").is_dir():
        folder = folder.parent
    if not folder.is_dir():
        parser.error(f"{folder}: there is no such folder; type the one in which the runs started")
    sys.exit(bool(deliver(folder, arguments.uri)))


if __name__ == "__main__":
    main()
