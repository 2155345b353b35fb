"""Where a worker process's output goes: to the folder of the trial that it runs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OUTPUT_FILE = "stdout.log"


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Append all that this process prints, also from below Python, to a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(1), os.dup(2)]
    target = os.open(folder / OUTPUT_FILE, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666)
    _point_to(target, target)
    os.close(target)
    try:
        yield
    finally:
        _point_to(*kept)
        for handle in kept:
            os.close(handle)


def _point_to(stdout: int, stderr: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
