"""The logging handler that prints messages on the console."""

import logging
import sys

from sweeper.text import printable


class ConsoleHandler(logging.Handler):
    """A handler that looks up `sys.stdout` and `sys.stderr` for each record.

    A live progress display can therefore redirect the streams. Warnings and errors go to standard
    error, all other records to standard output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            stream.write(printable(self.format(record), newlines=True) + "\n")
            stream.flush()
        except Exception:
            self.handleError(record)
