"""Decoded splits on disk: decoded once, memory-mapped by every later process.

A cache folder holds `meta.json`, `labels.npy` and the images: `images.npy` if they have one size,
else the files of `photo_cache`.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data import photo_cache
from sweeper.data.contents import contents_of
from sweeper.data.image_files import FilePhotographs
from sweeper.data.kept import kept
from sweeper.data.photographs import PackedPhotographs
from sweeper.data.source import Decoded, Images, Indices, SizedImages, Split
from sweeper.files import crc32_of, reason_of, scratch_folder
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

IMAGES, LABELS = "images.npy", "labels.npy"
FILES = {"meta.json", IMAGES, LABELS, photo_cache.PIXELS, photo_cache.INDEX}


@dataclass(frozen=True)
class OpenSplit:
    """A split that is ready to be read; `cache_folder` is None if the cache cannot be written.

    Images are (N, C, H, W) uint8 and labels (N, ...) int64, as in `Decoded`. `digest` is the
    `contents` of a split of image files, and a hash of the pixels, labels and classes of any other.
    """

    images: Images | SizedImages
    labels: Indices
    classes: tuple[str, ...]
    digest: str
    cache_folder: Path | None
    former_digest: str | None = None
    """The digest of the same image files in checkpoints of earlier versions."""


def open_cached(name: str, split: Split, cache_dir: Path, writes: bool = True) -> OpenSplit:
    """Return the split memory-mapped from the cache; decode and cache it first if necessary.

    A damaged cache is decoded again. Without `writes`, or on a full disk, the split stays in
    memory.

    Raises:
        DataError: a file of the split cannot be read.
    """
    return _identified(split, _open_decoded(name, split, cache_dir, writes))


def _identified(split: Split, opened: OpenSplit) -> OpenSplit:
    """Return the open split with the digest of its files, if it consists of image files."""
    if (contents := contents_of(split, opened.cache_folder)) is None:
        return opened
    return replace(opened, digest=contents, former_digest=opened.digest)


def _open_decoded(name: str, split: Split, cache_dir: Path, writes: bool) -> OpenSplit:
    folder = _folder(name, split, cache_dir)
    # A checksum of all bytes takes 20 ms for MNIST; the files of an earlier trial are known.
    if (cached := kept("split", (folder, _stamps(folder)), lambda: _read(folder))) is not None:
        return cached
    decoded = split.load()
    if isinstance(decoded.images, FilePhotographs):
        return _open_photographs(name, decoded, decoded.images, folder, writes)
    images = np.ascontiguousarray(decoded.images[np.arange(len(decoded.labels))])
    in_memory = OpenSplit(images, decoded.labels, decoded.classes, _digest(images, decoded), None)
    if not writes:
        return in_memory
    try:
        _write(folder, images, in_memory)
    except OSError as error:
        _warn_of_no_cache(name, folder, error)
        return in_memory
    return _read(folder) or in_memory


def _open_photographs(
    name: str, decoded: Decoded, files: FilePhotographs, folder: Path, writes: bool
) -> OpenSplit:
    """Decode photographs into the cache and open them there, or keep them in memory."""
    labels, classes = decoded.labels, decoded.classes
    if writes:
        try:
            with _replacing(folder) as partial:
                index = photo_cache.write(files, partial)
                photo_cache.write_array(partial / LABELS, np.ascontiguousarray(labels))
                digest = photo_cache.digest(index, labels, classes)
                meta = {"channels": files.channels, "classes": classes, "digest": digest}
                _write_meta(partial, meta)
            return _loaded(folder, verify=False)  # its checksums were computed a moment ago
        except OSError as error:
            _warn_of_no_cache(name, folder, error)
    photographs, index = photo_cache.packed(files)
    digest = photo_cache.digest(index, labels, classes)
    return OpenSplit(photographs, labels, classes, digest, None)


def _warn_of_no_cache(name: str, folder: Path, error: OSError) -> None:
    reason = reason_of(error)
    log.warning("%s is not cached, and is read again next time: %s: %s", name, folder, reason)


def cached_nbytes(name: str, split: Split, cache_dir: Path) -> int | None:
    """Return the size of the photographs of the split in the cache, or None if it has none."""
    return photo_cache.nbytes_of(_folder(name, split, cache_dir))


def open_streamed(
    name: str, split: Split, stream: Callable[[], Decoded], cache_dir: Path
) -> OpenSplit:
    """Return the split with its images left in their files; its statistics and digest are cached.

    Raises:
        DataError: a file of the split cannot be read.
    """
    decoded = stream()
    digest, folder = split.fingerprint[:32], _folder(name, split, cache_dir)
    opened = OpenSplit(decoded.images, decoded.labels, decoded.classes, digest, folder)
    return _identified(split, opened)


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


def _loaded(folder: Path, verify: bool = True) -> OpenSplit:
    """Return the split cached in the folder; without `verify`, checksums are not compared.

    Raises:
        Exception: a file is missing or damaged.
    """
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    if verify and meta["crc32"] != _checksum(folder, meta):
        raise ValueError("its checksum differs")
    # Copy-on-write: processes share the pages, and torch accepts the array as writable. Not with
    # `np.load`, which reads archives and pickles too.
    labels = np.lib.format.open_memmap(folder / LABELS, "c")
    images: NDArray[np.uint8] | PackedPhotographs
    if "channels" in meta:
        images, index = photo_cache.read(folder, meta["channels"], verify)
        fits, pixels = len(labels) == len(index), images.pixels
    else:
        images = pixels = np.lib.format.open_memmap(folder / IMAGES, "c")
        fits = list(images.shape) == meta["shape"] and len(labels) == len(images)
    if not fits:
        raise ValueError("its files do not belong together")
    if pixels.dtype != np.uint8 or labels.dtype != np.int64:
        raise ValueError("its values are of another type")
    return OpenSplit(images, np.array(labels), tuple(meta["classes"]), meta["digest"], folder)


def _stamps(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Return what changes when a file in the folder is written or replaced; nothing without it."""
    try:
        stats = [path.stat() for path in sorted(folder.iterdir()) if path.name in FILES]
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

    It reads 3 GB/s. The digest, which tells data sets apart, would take five times as long. The
    pixels of photographs have checksums of their own, in the index.
    """
    photographs = "channels" in meta
    values = [meta["channels" if photographs else "shape"], meta["classes"], meta["digest"]]
    crc = zlib.crc32(json.dumps(values).encode())
    for name in (photo_cache.INDEX if photographs else IMAGES, LABELS):
        with (folder / name).open("rb") as file:
            crc = crc32_of(file, (folder / name).stat().st_size, crc)
    return crc


def _write(folder: Path, images: NDArray[np.uint8], split: OpenSplit) -> None:
    with _replacing(folder) as partial:
        for name, array in ((IMAGES, images), (LABELS, split.labels)):
            photo_cache.write_array(partial / name, np.ascontiguousarray(array))
        meta = {"shape": images.shape, "classes": split.classes, "digest": split.digest}
        _write_meta(partial, meta)


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    text = json.dumps({**meta, "crc32": _checksum(folder, meta)})
    (folder / "meta.json").write_text(text, encoding="utf-8")


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to write into, and move it to `folder` at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.parent) as scratch:
        partial = scratch / "new"
        partial.mkdir()
        yield partial
        try:
            partial.replace(folder)
        except OSError:  # a folder that is not empty cannot be replaced, only moved away
            if _is_intact(folder):
                return  # another process wrote it first
            folder.replace(scratch / "old")
            partial.replace(folder)
