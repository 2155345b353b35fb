"""What makes image files the same data: their bytes, wherever and however they are kept."""

import hashlib
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sweeper.data.image_files import in_threads
from sweeper.data.kept import kept
from sweeper.data.source import Indices, Split
from sweeper.errors import DataError
from sweeper.files import reason_of, write_text

log = logging.getLogger(__name__)

GROUP = 64
"""Files that a thread reads at a time: 10,000 small ones take 0.3 s, and 0.8 s one by one."""


def digest_of_files(paths: Sequence[Path], labels: Indices, settings: Mapping[str, Any]) -> str:
    """Return a hash of the bytes of the files in their order, the labels and the settings.

    Neither the names of the files nor their times change it.

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(labels).data)
    groups = (paths[start : start + GROUP] for start in range(0, len(paths), GROUP))
    for checksums in in_threads(_checksums, groups):
        digest.update(json.dumps(checksums).encode())
    return digest.hexdigest()


def contents_of(split: Split, folder: Path | None) -> str | None:
    """Return the `contents` of a split, cached in the folder; None if the split has none.

    The name of the folder depends on the path, size and time of each file.

    Raises:
        DataError: a file cannot be read.
    """
    read = split.contents
    if read is None:
        return None
    return kept("contents", split.fingerprint, lambda: _cached(folder) or _store(read(), folder))


def _checksums(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return the size and the CRC-32 of each file."""
    checksums = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {reason_of(error)}") from error
        checksums.append((len(content), zlib.crc32(content)))
    return checksums


def _cached(folder: Path | None) -> str | None:
    """Return the digest in the folder, or None if there is none or it is damaged."""
    if folder is None:
        return None
    path = folder / "contents.txt"
    try:
        digest, _, checksum = path.read_text(encoding="utf-8").partition(" ")
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        digest = checksum = ""
    if checksum == _checksum(digest):
        return digest
    log.warning("%s is damaged and will be rebuilt", path)
    return None


def _store(digest: str, folder: Path | None) -> str:
    """Write the digest into the folder and return it."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "contents.txt", f"{digest} {_checksum(digest)}")
        except OSError as error:
            _warn_once(folder.parent, reason_of(error))
    return digest


@cache
def _warn_once(cache_dir: Path, reason: str) -> None:
    """Warn a process of it once, and not for each split of each trial."""
    log.warning(
        "all image files are read again by each run, since %s cannot be written: %s",
        cache_dir,
        reason,
    )


def _checksum(digest: str) -> str:
    return str(zlib.crc32(digest.encode()))
