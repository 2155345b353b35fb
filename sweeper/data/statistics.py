"""Mean and standard deviation of the training images, a channel at a time."""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.cache import Stored
from sweeper.data.source import Indices
from sweeper.files import write_text

log = logging.getLogger(__name__)

CHUNK = 1024


@dataclass(frozen=True)
class Statistics:
    """Per channel, for pixels scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def measure(chunks: Iterable[NDArray[np.uint8]]) -> Statistics:
    """The exact statistics of chunks (n, C, H, W) of uint8; a constant channel gets std 1.

    Levels are counted, so the sums are integers and nothing is rounded before the last step.
    """
    counts: NDArray[np.int64] = sum(map(_histograms, chunks))  # type: ignore[assignment]
    levels = np.arange(256, dtype=np.float64) / 255
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return Statistics(tuple(mean.tolist()), tuple(std.tolist()))


def _histograms(chunk: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.stack(
        [np.bincount(chunk[:, c].ravel(), minlength=256) for c in range(chunk.shape[1])]
    )


def training_statistics(stored: Stored, indices: Indices) -> Statistics:
    """The statistics of these images of a split, kept beside its cache."""
    if stored.folder is None:
        return measure(chunks_of(stored, indices))
    key = hashlib.sha256(indices.tobytes()).hexdigest()[:20]
    path = stored.folder / f"statistics-{key}.json"
    if (found := _read(path)) is not None:
        return found
    statistics = measure(chunks_of(stored, indices))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"mean": statistics.mean, "std": statistics.std}))
    except OSError as error:
        log.warning("the statistics are not cached: %s", error)
    return statistics


def chunks_of(stored: Stored, indices: Indices) -> Iterable[NDArray[np.uint8]]:
    """These images, (at most CHUNK, C, H, W) at a time."""
    return (stored.images[indices[at : at + CHUNK]] for at in range(0, len(indices), CHUNK))


def _read(path: Path) -> Statistics | None:
    try:
        found = json.loads(path.read_text())
        return Statistics(tuple(found["mean"]), tuple(found["std"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and will be rebuilt: %s", path, error)
        return None
