"""Redirection of a worker process's output to the folder of the job or trial that it runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OUTPUT_FILE = "stdout.log"


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Append all output of this process to a file in `folder`.

    The file descriptors are redirected, so output of C libraries and child processes is included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    saved = [os.dup(1), os.dup(2)]
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    file = os.open(folder / OUTPUT_FILE, flags, 0o666)
    _redirect(file, file)
    os.close(file)
    try:
        yield
    finally:
        _redirect(*saved)
        for descriptor in saved:
            os.close(descriptor)


def _redirect(stdout: int, stderr: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the file of the redirection may be on a full disk
            stream.flush()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
