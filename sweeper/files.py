"""Files that are replaced in one step, and hard links in place of copies."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and move the file written there to `path` at the end.

    Readers see either the old file or the whole new one. After an exception the old file is
    unchanged.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # a killed process of the same number may have left a link
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by a file with this text, in one step."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` a hard link to the file `source`, or a copy if links are not possible.

    An existing `target` is replaced. The content of a link changes if `source` is later written in
    place; it does not change if `source` is replaced by another file.
    """
    with replacing(Path(target)) as partial:
        try:
            os.link(source, partial)
        except OSError:  # `target` is on another file system, or hard links are not supported
            shutil.copy2(source, partial)
