"""Where log lines meet a person: one plain line each, above whatever display is live."""

import logging
import sys


class ConsoleHandler(logging.Handler):
    """Writes to the standard error of the moment, so that a live display can redirect it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)
