"""The place for what cannot be delivered. It is set aside there, named once, and never deleted.

    outbox/damaged/<name>/records.jsonl     lines of the outbox `name`
                          delivered.json    its progress, if that is damaged
                          files/            its artifacts, once all else of it is delivered
    outbox/damaged/<name>/                  or a whole outbox that has no usable start record

No delivery looks there. What is repaired by hand goes back as a folder of `outbox/`.
"""

import os
from pathlib import Path

from sweeper.files import PLAIN_FILE

FOLDER = "damaged"


def place_of(outbox: Path) -> Path:
    """Return the folder for parts of an outbox."""
    return outbox.parent / FOLDER / outbox.name


def set_line_aside(outbox: Path, line: bytes) -> None:
    """Store a copy of a line of an outbox.

    Raises:
        OSError: the copy cannot be written.
    """
    place = place_of(outbox)
    place.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | PLAIN_FILE
    with os.fdopen(os.open(place / "records.jsonl", flags, mode=0o600), "wb") as file:
        file.write(line.rstrip(b"\n") + b"\n")


def move_aside(path: Path, target: Path) -> Path:
    """Move a file or a folder to `target`, or beside it if that exists; return where it is.

    Raises:
        OSError: it cannot be moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    free, number = target, 1
    while free.exists() or free.is_symlink():
        free, number = target.with_name(f"{target.name}.{number}"), number + 1
    return path.rename(free)
