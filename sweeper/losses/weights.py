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
    if len(weight) != len(counts):
        raise ConfigError(
            f"loss.weight has {len(weight)} numbers, but the data has {len(counts)} classes: "
            "give one number a class, or loss.weight=balanced"
        )
    if not any(weight):
        raise ConfigError(f"loss.weight={list(weight)}: at least one class must weigh something")
    return torch.tensor(weight, dtype=torch.float32)
