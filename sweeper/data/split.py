"""Stratified, seeded splits that are the same on every platform."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sweeper.data.source import Indices
from sweeper.errors import DataError

FIXED_SEED = 20_250_101
"""The seed of test splits, which must not change with the seed of a run."""


def random_uint64(n: int, *entropy: int) -> NDArray[np.uint64]:
    """Return n random numbers of 64 bits, (n,), seeded by non-negative integers.

    NumPy promises not to change the raw output of PCG64; its other streams may change.
    """
    return np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(n)


def permutation(n: int, *entropy: int) -> Indices:
    """Return a random permutation of range(n), (n,) int64, seeded by non-negative integers."""
    return np.argsort(random_uint64(n, *entropy), kind="stable").astype(np.int64)


def hold_out(labels: Indices, count: int, *entropy: int) -> tuple[Indices, Indices]:
    """Divide range(N) into (remaining, held out) indices, both ascending, stratified by class.

    labels: (N,) int64. Each class gives its share of `count`, but always keeps one image. So a
    class of one image gives none, and fewer than `count` may be held out.
    """
    # scikit-learn's stratified split rejects a class of one image and takes 2 seconds to import.
    quota = _quotas(np.bincount(labels), count)
    order = permutation(len(labels), *entropy)
    by_class = [order[labels[order] == label][:size] for label, size in enumerate(quota)]
    held_out = np.sort(np.concatenate(by_class))
    remains = np.ones(len(labels), dtype=bool)
    remains[held_out] = False
    return np.flatnonzero(remains), held_out


def _strata(labels: Indices) -> Indices:
    """Return the class of each image, (N,).

    Images with several labels all get class 0: hardly two of them have the same labels.
    """
    return labels if labels.ndim == 1 else np.zeros(len(labels), dtype=np.int64)


def _quotas(counts: Indices, total: int) -> Indices:
    """Return how many images of each class to hold out, (K,), from the images a class, (K,).

    `total` is shared out by the largest remainder method, at most count - 1 for a class.
    """
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
    test_limit: int | None = None,
) -> tuple[dict[str, Indices], Indices]:
    """Return the indices of `train`, `val` and `test`, and those to measure statistics on.

    labels: (N, ...) int64 for each split of the source. A missing `val` is held out of `train`,
    stratified. Statistics are measured on all training images, whatever `train_limit` is, so that
    a short run normalises its images like a full run.

    Raises:
        DataError: no image can be held out for validation.
    """
    indices = {name: np.arange(len(split)) for name, split in labels.items()}
    if "val" not in indices:
        count = max(1, round(len(labels["train"]) * val_fraction))
        indices["train"], indices["val"] = hold_out(_strata(labels["train"]), count, seed)
    if not len(indices["val"]):
        raise DataError("no image can be held out for validation: every class has only one image")
    statistics_indices = indices["train"]
    for name in indices.keys() - {"train"}:
        # Many sources sort their images by class, but some losses need several classes a batch.
        indices[name] = indices[name][permutation(len(indices[name]), FIXED_SEED)]
    for name, limit in (("train", train_limit), ("val", val_limit)):
        limited = permutation(len(indices[name]), seed)[:limit]
        indices[name] = indices[name][np.sort(limited)]
    if "test" in indices:  # they are shuffled, and do not depend on the seed
        indices["test"] = indices["test"][:test_limit]
    return indices, statistics_indices
