"""`python -m sweeper.tracking.deliver [FOLDER]`: deliver the records in FOLDER/outbox."""

import argparse
import logging
import sys
from pathlib import Path

from sweeper.tracking.delivery import Delivery
from sweeper.tracking.outbox import abandoned_outboxes

log = logging.getLogger("sweeper.tracking.deliver")


def deliver(folder: Path) -> int:
    """Try to deliver each abandoned outbox once; return the number of failures."""
    deliveries = [Delivery(outbox) for outbox in abandoned_outboxes(folder / "outbox")]
    for delivery in deliveries:
        delivery.attempt()
        delivery.close()
    failures = [delivery.failure for delivery in deliveries if delivery.failure]
    log.info("delivered %d of %d runs", len(deliveries) - len(failures), len(deliveries))
    if failures:
        log.warning("%d could not be delivered: %s", len(failures), failures[0])
    return len(failures)


def main() -> None:
    """Deliver all abandoned outboxes; exit with status 1 if one could not be delivered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path.cwd())
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(bool(deliver(parser.parse_args().folder.absolute())))


if __name__ == "__main__":
    main()
