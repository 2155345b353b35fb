"""Decoded photographs of different sizes on disk, as `cache` keeps images of one size.

`pixels.bin` holds the photographs one behind the other. `index.npy` (N, 3) int64 holds height,
width and CRC-32 of each, so that the checksums are computed while the files are decoded, and are
verified in several threads.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.image_files import FilePhotographs, in_threads
from sweeper.data.photographs import PackedPhotographs
from sweeper.data.source import Indices

PIXELS = "pixels.bin"
INDEX = "index.npy"
GROUP = 64
"""Photographs whose checksums a thread verifies at a time."""


def packed(files: FilePhotographs) -> tuple[PackedPhotographs, Indices]:
    """Decode the photographs into memory; return them and their index (N, 3).

    Raises:
        DataError: a file cannot be decoded.
    """
    pixels = np.empty(files.nbytes, dtype=np.uint8)
    ends = np.cumsum(files.sizes.prod(axis=1) * files.channels)
    starts = iter((ends - files.sizes.prod(axis=1) * files.channels).tolist())

    def keep(photograph: NDArray[np.uint8]) -> None:
        start = next(starts)
        pixels[start : start + photograph.nbytes] = photograph.reshape(-1)

    index = _decode(files, keep)
    return PackedPhotographs(pixels, index[:, :2].copy(), files.channels), index


def write(files: FilePhotographs, folder: Path) -> Indices:
    """Decode the photographs into files in the folder; return their index (N, 3).

    Raises:
        DataError: a file cannot be decoded.
        OSError: the disk is full.
    """
    with (folder / PIXELS).open("wb") as file:

        def keep(photograph: NDArray[np.uint8]) -> None:
            file.write(photograph.data)

        index = _decode(files, keep)
    write_array(folder / INDEX, index)
    return index


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as `np.save` does, whose error on a full disk does not give the reason.

    Raises:
        OSError: the disk is full.
    """
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def read(folder: Path, channels: int, verify: bool) -> tuple[PackedPhotographs, Indices]:
    """Return the photographs in the folder, memory-mapped, and their index (N, 3).

    Raises:
        ValueError: the files do not belong together or, with `verify`, a checksum differs.
        OSError: a file is missing or cannot be read.
    """
    index = np.array(np.lib.format.open_memmap(folder / INDEX, "r"))
    if index.dtype != np.int64 or index.ndim != 2 or index.shape[1] != 3:
        raise ValueError("its index has another type")
    # Not as int64: a forged index could overflow.
    nbytes = sum(height * width * channels for height, width, _ in index.tolist())
    if index[:, :2].min(initial=1) < 1 or nbytes != (folder / PIXELS).stat().st_size:
        raise ValueError("its files do not belong together")
    # Copy-on-write: processes share the pages, and torch accepts the array as writable.
    pixels = np.memmap(folder / PIXELS, np.uint8, "c")
    photographs = PackedPhotographs(pixels, index[:, :2].copy(), channels)
    if verify:
        _verify(folder / PIXELS, photographs, index)
    return photographs, index


def nbytes_of(folder: Path) -> int | None:
    """Return the size of the photographs in the folder, or None if there are none."""
    try:
        return (folder / PIXELS).stat().st_size
    except OSError:
        return None


def digest(index: Indices, labels: Indices, classes: tuple[str, ...]) -> str:
    """Return a hash of the sizes and checksums of photographs, their labels and the classes."""
    content = hashlib.blake2b(json.dumps(classes).encode(), digest_size=16)
    content.update(np.ascontiguousarray(index).data)
    content.update(np.ascontiguousarray(labels).data)
    return content.hexdigest()


def _decode(files: FilePhotographs, keep: Callable[[NDArray[np.uint8]], None]) -> Indices:
    """Decode the photographs, pass each to `keep`, and return their index (N, 3)."""
    index = np.empty((len(files.paths), 3), dtype=np.int64)
    for position, (photograph, crc) in enumerate(_with_checksums(files)):
        keep(photograph)
        index[position] = *photograph.shape[:2], crc
    return index


def _with_checksums(files: FilePhotographs) -> Iterator[tuple[NDArray[np.uint8], int]]:
    def decode(path: Path) -> tuple[NDArray[np.uint8], int]:
        photograph = files.decode(path)
        return photograph, zlib.crc32(photograph.data)

    return in_threads(decode, files.paths)


def _verify(path: Path, photographs: PackedPhotographs, index: Indices) -> None:
    """Raise ValueError if the checksum of a photograph differs.

    The file is read, not mapped: a disk that fails to read is then an error and not a signal that
    ends the process.
    """
    starts = range(0, len(index), GROUP)
    if not all(in_threads(partial(_group_is_intact, path, photographs, index), starts)):
        raise ValueError("its checksum differs")


def _group_is_intact(
    path: Path, photographs: PackedPhotographs, index: Indices, first: int
) -> bool:
    ends = photographs.ends
    lengths = index[first : first + GROUP, :2].prod(axis=1) * photographs.channels
    with path.open("rb", buffering=0) as file:
        file.seek(int(ends[first] - lengths[0]))
        return all(
            zlib.crc32(file.read(length)) == crc
            for length, crc in zip(lengths.tolist(), index[first:, 2].tolist(), strict=False)
        )
