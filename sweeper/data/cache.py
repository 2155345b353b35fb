"""Decoded splits on disk: decoded once, memory-mapped by every later process."""

import hashlib
import json
import logging
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.kept import kept
from sweeper.data.source import Decoded, Images, Indices, Split
from sweeper.files import crc32_of, reason_of
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

ARRAYS = ("images.npy", "labels.npy")


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


def open_cached(name: str, split: Split, cache_dir: Path, writes: bool = True) -> OpenSplit:
    """Return the split memory-mapped from the cache; decode and cache it first if necessary.

    A damaged cache is decoded again. Without `writes`, or on a full disk, the split stays in
    memory.
    """
    folder = _folder(name, split, cache_dir)
    # A checksum of all bytes takes 20 ms for MNIST; the files of an earlier trial are known.
    if (cached := kept("split", (folder, _stamps(folder)), lambda: _read(folder))) is not None:
        return cached
    decoded = split.load()
    images = np.ascontiguousarray(decoded.images[np.arange(len(decoded.labels))])
    in_memory = OpenSplit(images, decoded.labels, decoded.classes, _digest(images, decoded), None)
    if not writes:
        return in_memory
    try:
        _write(folder, images, in_memory)
    except OSError as error:
        reason = reason_of(error)
        log.warning("%s is not cached, and is read again next time: %s: %s", name, folder, reason)
        return in_memory
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
    """Return the split cached in the folder; log why it is rebuilt, and return None, otherwise."""
    try:
        return _loaded(folder)
    except FileNotFoundError:
        return None
    except KeyError as error:
        log.warning("%s has no %s and will be rebuilt", folder, error)
    except Exception as error:  # the parsers of JSON and of NumPy let errors of many types through
        log.warning("%s is damaged and will be rebuilt: %s", folder, in_one_line(error))
    return None


def _loaded(folder: Path) -> OpenSplit:
    """Return the split cached in the folder.

    Raises:
        Exception: a file is missing or damaged.
    """
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    if meta["crc32"] != _checksum(folder, meta):
        raise ValueError("its checksum differs")
    # Copy-on-write: processes share the pages, and torch accepts the array as writable. Not with
    # `np.load`, which reads archives and pickles too.
    images, labels = (np.lib.format.open_memmap(folder / file, "c") for file in ARRAYS)
    if list(images.shape) != meta["shape"] or len(labels) != len(images):
        raise ValueError("its files do not belong together")
    if images.dtype != np.uint8 or labels.dtype != np.int64:
        raise ValueError("its values are of another type")
    return OpenSplit(images, np.array(labels), tuple(meta["classes"]), meta["digest"], folder)


def _stamps(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Return what changes when a file in the folder is written or replaced; nothing without it."""
    try:
        stats = [(folder / file).stat() for file in ("meta.json", *ARRAYS)]
    except OSError:
        return ()
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def _is_intact(folder: Path) -> bool:
    try:
        return bool(_loaded(folder))
    except Exception:  # as in `_read`, which has logged it
        return False


def _checksum(folder: Path, meta: Mapping[str, Any]) -> int:
    """Return the CRC-32 of the values in `meta` and of all bytes of the arrays.

    It reads 3 GB/s. The digest, which tells data sets apart, would take five times as long.
    """
    values = [meta[key] for key in ("shape", "classes", "digest")]
    crc = zlib.crc32(json.dumps(values).encode())
    for name in ARRAYS:
        with (folder / name).open("rb") as file:
            crc = crc32_of(file, (folder / name).stat().st_size, crc)
    return crc


def _write(folder: Path, images: NDArray[np.uint8], split: OpenSplit) -> None:
    with _replacing(folder) as partial:
        for name, array in zip(ARRAYS, (images, split.labels), strict=True):
            _write_array(partial / name, np.ascontiguousarray(array))
        meta = {"shape": images.shape, "classes": split.classes, "digest": split.digest}
        text = json.dumps(meta | {"crc32": _checksum(partial, meta)})
        (partial / "meta.json").write_text(text, encoding="utf-8")


def _write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as `np.save` does, whose error on a full disk does not give the reason."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


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
            if _is_intact(folder):
                return  # another process wrote it first
            folder.replace(Path(scratch, "old"))
            partial.replace(folder)
