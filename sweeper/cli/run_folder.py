"""The folder of a run, to which only one run at a time may write."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sweeper.errors import ConfigError
from sweeper.locks import locked

log = logging.getLogger(__name__)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder of a run, so that no other run writes to it.

    Raises:
        ConfigError: another run holds the lock.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError as error:
            raise ConfigError(
                f"hydra.run.dir={folder}: another run is writing to this folder; wait until it "
                "ends, or type hydra.run.dir=PATH with another one"
            ) from error
        except OSError as error:  # some network file systems have no locks
            log.debug("%s cannot be locked: %s", folder, error)
        yield
