"""Mean and standard deviation of the training images, per channel."""

import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.cache import OpenSplit
from sweeper.data.source import Images, Indices
from sweeper.files import reason_of, write_text
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

CHUNK_SIZE = 1024
"""Images that are read at a time."""
SMALLEST_STD = 1e-12
"""Less than the deviation of two levels, however many pixels have the same one."""


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation per channel, for pixels scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def measure(chunks: Iterable[NDArray[np.uint8]]) -> Statistics:
    """Return the exact statistics of all images; a constant channel gets std 1.

    chunks: arrays (n, C, H, W) uint8. Their levels are counted, so that the sums are integers and
    only the last step rounds.
    """
    counts: NDArray[np.int64] = sum(map(_histograms, chunks))  # type: ignore[assignment]
    levels = np.arange(256, dtype=np.float64) / 255
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    is_constant = (counts > 0).sum(axis=1) == 1  # its variance may be a rounding error
    std = np.where(is_constant, 1.0, np.sqrt(variance))
    return Statistics(tuple(mean.tolist()), tuple(std.tolist()))


def _histograms(chunk: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many pixels have each level: (C, 256)."""
    return np.stack(
        [np.bincount(chunk[:, c].ravel(), minlength=256) for c in range(chunk.shape[1])]
    )


def training_statistics(
    split: OpenSplit,
    indices: Indices,
    chunks: Iterable[NDArray[np.uint8]] | None = None,
    steps: str | None = "",
) -> Statistics:
    """Return the statistics of these images of a split, cached next to its images.

    `chunks` are these images after some steps, and `steps` says all that the steps do. They are not
    needed for images of one size. With None for `steps` nothing is cached.
    """
    if chunks is None:
        assert isinstance(split.images, Images)
        chunks = chunks_of(split.images, indices)
    if split.cache_folder is None or steps is None:
        return measure(chunks)
    key = hashlib.sha256(indices.tobytes() + steps.encode()).hexdigest()[:20]
    path = split.cache_folder / f"statistics-{key}.json"
    if (cached := _read(path)) is not None:
        return cached
    statistics = measure(chunks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"mean": statistics.mean, "std": statistics.std}
        write_text(path, json.dumps(content | {"crc32": _checksum(statistics)}))
    except OSError as error:
        log.warning("the statistics are not cached in %s: %s", path.parent, reason_of(error))
    return statistics


def chunks_of(images: Images, indices: Indices) -> Iterator[NDArray[np.uint8]]:
    """Yield these images in chunks (n, C, H, W) uint8 of up to CHUNK_SIZE images."""
    starts = range(0, len(indices), CHUNK_SIZE)
    return (images[indices[start : start + CHUNK_SIZE]] for start in starts)


def _read(path: Path) -> Statistics | None:
    """Return the statistics in the file; log why they are measured, and return None, otherwise."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        statistics = Statistics(tuple(content["mean"]), tuple(content["std"]))
        if min(statistics.std) < SMALLEST_STD:
            raise ValueError("an earlier version wrote a rounding error for a constant channel")
        is_older = content.keys() == {"mean", "std"}  # written before there were checksums
        if is_older or content["crc32"] == _checksum(statistics):
            return statistics
        raise ValueError("its checksum differs")
    except FileNotFoundError:
        return None
    except Exception as error:  # the content may be anything
        log.warning("%s is damaged and will be rebuilt: %s", path, in_one_line(error))
        return None


def _checksum(statistics: Statistics) -> int:
    return zlib.crc32(json.dumps([statistics.mean, statistics.std]).encode())
