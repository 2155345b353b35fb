"""Class weights of a loss: listed in the config, or computed from the numbers of images."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from sweeper.errors import ConfigError

Weight = list[NonNegativeFloat] | Literal["balanced"] | None


def class_weights(weight: Weight, counts: Tensor) -> Tensor | None:
    """Return (K,) float32 class weights; None without a `weight`.

    counts: (K,) int64, the training images of each class. `balanced` gives n / (K * count), so
    that the total weight of every class is the same; a class without images gets 0.

    Raises:
        ConfigError: the number of weights is not that of the classes, or all are zero.
    """
    if weight is None:
        return None
    if weight == "balanced":
        balanced = counts.sum() / (len(counts) * counts.clamp_min(1).double())
        return torch.where(counts > 0, balanced, 0.0).float()
    return _listed("weight", weight, len(counts))


def positive_weights(weight: Weight, counts: Tensor, n_images: int) -> Tensor | None:
    """Return (K,) float32 weights of the positive labels of each class; None without a `weight`.

    counts: (K,) int64, the training images of each class; `n_images` is the number of all
    training images. `balanced` gives (n - count) / count, so that the positive and the negative
    labels of a class have the same total weight; a class in no image or in every image gets 1,
    because its labels cannot be balanced.

    Raises:
        ConfigError: the number of weights is not that of the classes, or all are zero.
    """
    if weight is None:
        return None
    if weight == "balanced":
        balanced = (n_images - counts) / counts.clamp_min(1).double()
        has_both = (counts > 0) & (counts < n_images)
        return torch.where(has_both, balanced, 1.0).float()
    return _listed("pos_weight", weight, len(counts))


def _listed(key: str, weight: list[float], n_classes: int) -> Tensor:
    if len(weight) != n_classes:
        raise ConfigError(
            f"loss.{key} has {len(weight)} numbers, but the data has {n_classes} classes; "
            f"type one number for each class, or loss.{key}=balanced"
        )
    if not any(weight):
        raise ConfigError(
            f"loss.{key}={list(weight)}: all weights are zero; type at least one positive number"
        )
    return torch.tensor(weight, dtype=torch.float32)
