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
class OpenSplit:
    """A split that is ready to be read; `cache_folder` is None if the cache cannot be written.

    Images are (N, C, H, W) uint8 and labels (N, ...) int64, as in `Decoded`. `digest` is a hash
    of the pixels, labels and classes; of a streamed split, it is the start of its fingerprint.
    """

    images: Images
    labels: Indices
    classes: tuple[str, ...]
    digest: str
    cache_folder: Path | None


def open_cached(name: str, split: Split, cache_dir: Path) -> OpenSplit:
    """Return the split memory-mapped from the cache; decode and cache it first if necessary."""
    folder = _folder(name, split, cache_dir)
    if (cached := _read(folder)) is not None:
        return cached
    decoded = split.load()
    images = np.ascontiguousarray(decoded.images[np.arange(len(decoded.labels))])
    in_memory = OpenSplit(images, decoded.labels, decoded.classes, _digest(images, decoded), None)
    try:
        _write(folder, images, in_memory)
    except OSError as error:
        log.warning("%s is not cached: %s", name, error)
    return _read(folder) or in_memory


def open_streamed(
    name: str, split: Split, stream: Callable[[], Decoded], cache_dir: Path
) -> OpenSplit:
    """Return the split with its images left in their files; only its statistics are cached."""
    decoded = stream()
    digest, folder = split.fingerprint[:32], _folder(name, split, cache_dir)
    return OpenSplit(decoded.images, decoded.labels, decoded.classes, digest, folder)


def _folder(name: str, split: Split, cache_dir: Path) -> Path:
    return cache_dir / f"{name}-{split.fingerprint[:20]}"


def _digest(images: NDArray[np.uint8], decoded: Decoded) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([images.shape, decoded.classes]).encode())
    digest.update(images.data)
    digest.update(decoded.labels.data)
    return digest.hexdigest()


def _read(folder: Path) -> OpenSplit | None:
    """Return the split cached in the folder, or None if it is missing or damaged."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        # Copy-on-write: processes share the pages, and torch accepts the array as writable.
        images = np.load(folder / "images.npy", mmap_mode="c")
        labels = np.load(folder / "labels.npy")
        consistent = list(images.shape) == meta["shape"] and len(labels) == len(images)
        cached = OpenSplit(images, labels, tuple(meta["classes"]), meta["digest"], folder)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and will be rebuilt: %s", folder, error)
        return None
    return cached if consistent else None


def _write(folder: Path, images: NDArray[np.uint8], split: OpenSplit) -> None:
    with _replacing(folder) as partial:
        np.save(partial / "images.npy", images)
        np.save(partial / "labels.npy", split.labels)
        meta = {"shape": images.shape, "classes": split.classes, "digest": split.digest}
        (partial / "meta.json").write_text(json.dumps(meta))


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to write into, and move it to `folder` at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as scratch:
        partial = Path(scratch, "new")
        partial.mkdir()
        yield partial
        try:
            partial.replace(folder)
        except OSError:  # a folder that is not empty cannot be replaced, only moved away
            if _read(folder) is not None:
                return  # another process wrote it first
            folder.replace(Path(scratch, "old"))
            partial.replace(folder)
