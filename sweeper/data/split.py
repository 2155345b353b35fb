"""Stratified, seeded splits that are the same on every platform."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import Indices
from sweeper.errors import DataError

# Entropy of the splits that must not move with the run's seed: held-out test images.
FIXED = 20_250_101


def raw_numbers(n: int, *entropy: int) -> NDArray[np.uint64]:
    """n numbers of 64 bits drawn from the given non-negative integers.

    PCG64's raw output is the one stream that NumPy promises never to change.
    """
    return np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(n)


def permutation(n: int, *entropy: int) -> Indices:
    """A permutation of range(n) drawn from the given non-negative integers."""
    return np.argsort(raw_numbers(n, *entropy), kind="stable").astype(np.int64)


def hold_out(labels: Indices, count: int, *entropy: int) -> tuple[Indices, Indices]:
    """(kept, held) indices, ascending; each class gives its share of `count`, but never all of it.

    A class of one image is kept whole, so `held` may be shorter than `count`. scikit-learn's
    stratified split refuses such a class and takes two seconds to import.
    """
    quota = _quotas(np.bincount(labels), count)
    order = permutation(len(labels), *entropy)
    held = [order[labels[order] == label][:take] for label, take in enumerate(quota)]
    held_indices = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held_indices), held_indices


def _strata(labels: Indices) -> Indices:
    """The class of each image; one for all where an image has several, hardly two alike."""
    return labels if labels.ndim == 1 else np.zeros(len(labels), dtype=np.int64)


def _quotas(counts: Indices, total: int) -> Indices:
    """How many to hold of each class: shares of `total` by largest remainder, at most count - 1."""
    exact = counts * (total / max(1, counts.sum()))
    limit = np.maximum(counts - 1, 0)
    quota: Indices = np.minimum(np.floor(exact).astype(np.int64), limit)
    for label in np.argsort(quota - exact, kind="stable"):
        if quota.sum() >= total:
            break
        quota[label] = min(quota[label] + 1, limit[label])
    return quota


def subset_indices(
    labels: Mapping[str, Indices],
    val_fraction: float,
    seed: int,
    train_limit: int | None,
    val_limit: int | None,
) -> tuple[dict[str, Indices], Indices]:
    """The images of `train`, `val` and `test`, and those that statistics are measured on.

    A missing `val` is held out of `train`, stratified. The latter are the training images before
    `train_limit`, so that a quick look normalises as the whole run does.
    """
    chosen = {name: np.arange(len(split)) for name, split in labels.items()}
    if "val" not in chosen:
        count = max(1, round(len(labels["train"]) * val_fraction))
        chosen["train"], chosen["val"] = hold_out(_strata(labels["train"]), count, seed)
    if not len(chosen["val"]):
        raise DataError("no image can be held out for validation: every class has a single one")
    fit = chosen["train"]
    for name in chosen.keys() - {"train"}:
        # Many sources sort their images by class; a loss may want several in a batch.
        chosen[name] = chosen[name][permutation(len(chosen[name]), FIXED)]
    for name, limit in (("train", train_limit), ("val", val_limit)):
        drawn = permutation(len(chosen[name]), seed)[:limit]
        chosen[name] = chosen[name][np.sort(drawn)]
    return chosen, fit
