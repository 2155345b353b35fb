"""The logging handler that prints messages on the console, and output without passwords."""

import io
import logging
import sys
from typing import TextIO

from sweeper.files import reason_of
from sweeper.secrets import without_password
from sweeper.text import printable


class MaskingFormatter(logging.Formatter):
    """A formatter of log files; it masks the passwords in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return without_password(super().format(record))


class MaskedOutput(io.TextIOBase):
    """A stream that masks the passwords in what it passes on to another stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(without_password(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()


class LogFile(logging.FileHandler):
    """A handler of a log file; on a full disk, it says so once in place of a traceback a record."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Handle the error of writing one record."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            line = f"{self.baseFilename} cannot be written ({reason_of(error)}); the run goes on"
            sys.stderr.write(printable(line) + "\n")


class ConsoleHandler(logging.Handler):
    """A handler that looks up `sys.stdout` and `sys.stderr` for each record.

    A live progress display can therefore redirect the streams. Warnings and errors go to standard
    error, all other records to standard output.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
            text = without_password(self.format(record))
            stream.write(printable(text, newlines=True) + "\n")
            stream.flush()
        except OSError:
            return  # standard output is a file on a full disk
        except Exception:
            self.handleError(record)
