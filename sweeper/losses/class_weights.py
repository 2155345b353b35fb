"""Class weights, given or computed."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from sweeper.errors import ConfigError

Weight = list[NonNegativeFloat] | Literal["balanced"] | None


def class_weights(weight: Weight, counts: Tensor) -> Tensor | None:
    """Return `(K,)` float32 class weights for `counts`, the training images of each class.

    `balanced` gives n / (K * count), so that every class weighs the same in total; a class
    without images weighs nothing.

    Raises:
        ConfigError: the weights are of another number than the classes, or all zero.
    """
    if weight is None:
        return None
    if weight == "balanced":
        balanced = counts.sum() / (len(counts) * counts.clamp_min(1).double())
        return torch.where(counts > 0, balanced, 0.0).float()
    return _given("weight", weight, len(counts))


def positive_weights(weight: Weight, counts: Tensor, n_images: int) -> Tensor | None:
    """Return (K,) float32 weights of what is there against what is not, for each class.

    `counts` are the training images of each class, of `n_images` in all. `balanced` gives
    (n - count) / count, so that both sides of a class weigh the same; one for an empty class.

    Raises:
        ConfigError: the weights are of another number than the classes, or all zero.
    """
    if weight is None:
        return None
    if weight == "balanced":
        balanced = (n_images - counts) / counts.clamp_min(1).double()
        return torch.where(counts > 0, balanced, 1.0).float()
    return _given("pos_weight", weight, len(counts))


def _given(key: str, weight: list[float], classes: int) -> Tensor:
    if len(weight) != classes:
        raise ConfigError(
            f"loss.{key} has {len(weight)} numbers, but the data has {classes} classes: "
            f"give one number a class, or loss.{key}=balanced"
        )
    if not any(weight):
        raise ConfigError(f"loss.{key}={list(weight)}: at least one class must weigh something")
    return torch.tensor(weight, dtype=torch.float32)
