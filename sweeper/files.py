"""Files that no reader ever sees half written, and links where a copy would cost time and space."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, and move what was written there over `path` at the end.

    Readers see the old file or the whole new one. An exception leaves the old file as it is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by one with this text, in one step."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link to the file `source`, or a copy where links are not possible.

    A file that lies at `target` is replaced. A link keeps the content that `source` has now only
    if `source` is replaced later, and never written into.
    """
    with replacing(Path(target)) as partial:
        try:
            os.link(source, partial)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(source, partial)
