"""Where log lines meet a person: one plain line each, above whatever display is live."""

import logging
import sys


class ConsoleHandler(logging.Handler):
    """Writes to the streams of the moment, so that a live display can redirect them.

    Warnings and errors go to standard error, everything else to standard output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            stream.write(self.format(record) + "\n")
            stream.flush()
        except Exception:
            self.handleError(record)
