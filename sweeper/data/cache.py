"""Decoded splits on disk: decoded once, memory-mapped by every later process."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import Decoded, Images, Indices, Split

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A split to read from; `folder` is where its cache lies, None when it cannot be written."""

    images: Images
    labels: Indices
    classes: tuple[str, ...]
    digest: str
    folder: Path | None


def cached(name: str, split: Split, cache_dir: Path) -> Stored:
    """The split, memory-mapped from the cache; decoded and written there first when missing."""
    folder = _folder(name, split, cache_dir)
    if (stored := _read(folder)) is not None:
        return stored
    decoded = split.load()
    images = np.ascontiguousarray(decoded.images[np.arange(len(decoded.labels))])
    fresh = Stored(images, decoded.labels, decoded.classes, _digest(images, decoded), None)
    try:
        _write(folder, images, fresh)
    except OSError as error:
        log.warning("%s is not cached: %s", name, error)
    return _read(folder) or fresh


def streamed(name: str, split: Split, stream: Callable[[], Decoded], cache_dir: Path) -> Stored:
    """The split with its images left in their files; only its statistics will be cached."""
    decoded = stream()
    digest, folder = split.fingerprint[:32], _folder(name, split, cache_dir)
    return Stored(decoded.images, decoded.labels, decoded.classes, digest, folder)


def _folder(name: str, split: Split, cache_dir: Path) -> Path:
    return cache_dir / f"{name}-{split.fingerprint[:20]}"


def _digest(images: NDArray[np.uint8], decoded: Decoded) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([images.shape, decoded.classes]).encode())
    digest.update(images.data)
    digest.update(decoded.labels.data)
    return digest.hexdigest()


def _read(folder: Path) -> Stored | None:
    """What lies in the folder; None when it is missing, truncated or otherwise damaged."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        # Copy-on-write: pages stay shared between processes, and torch takes it as writable.
        images = np.load(folder / "images.npy", mmap_mode="c")
        labels = np.load(folder / "labels.npy")
        sound = list(images.shape) == meta["shape"] and len(labels) == len(images)
        found = Stored(images, labels, tuple(meta["classes"]), meta["digest"], folder)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and will be rebuilt: %s", folder, error)
        return None
    return found if sound else None


def _write(folder: Path, images: NDArray[np.uint8], stored: Stored) -> None:
    with _replacing(folder) as partial:
        np.save(partial / "images.npy", images)
        np.save(partial / "labels.npy", stored.labels)
        meta = {"shape": images.shape, "classes": stored.classes, "digest": stored.digest}
        (partial / "meta.json").write_text(json.dumps(meta))


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when all of it has been written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as scratch:
        partial = Path(scratch, "new")
        partial.mkdir()
        yield partial
        try:
            partial.replace(folder)
        except OSError:  # a folder that is not empty cannot be replaced, only moved away
            if _read(folder) is not None:
                return  # another process was faster
            folder.replace(Path(scratch, "old"))
            partial.replace(folder)
