"""`python -m sweeper.tracking.deliver [FOLDER]`: deliver the records that wait in FOLDER/outbox."""

import argparse
import logging
import sys
from pathlib import Path

from sweeper.tracking.delivery import Delivery
from sweeper.tracking.outbox import leftovers

log = logging.getLogger("sweeper.tracking.deliver")


def deliver(folder: Path) -> int:
    """Try each dead owner's outbox once; return how many could not be delivered."""
    deliveries = [Delivery(outbox) for outbox in leftovers(folder / "outbox")]
    for delivery in deliveries:
        delivery.attempt()
        delivery.close()
    failures = [delivery.failure for delivery in deliveries if delivery.failure]
    log.info("delivered %d of %d runs", len(deliveries) - len(failures), len(deliveries))
    if failures:
        log.warning("%d wait on: %s", len(failures), failures[0])
    return len(failures)


def main() -> None:
    """Deliver, and exit with status 1 if anything still waits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path.cwd())
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(bool(deliver(parser.parse_args().folder.absolute())))


if __name__ == "__main__":
    main()
