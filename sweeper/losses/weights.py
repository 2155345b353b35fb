"""Class weights, given or computed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sweeper.errors import ConfigError


def class_weights(weight: str | Sequence[float] | None, counts: Tensor) -> Tensor | None:
    """Return `(K,)` float32 class weights for `counts`, the training images of each class.

    `balanced` gives n / (K * count), so that every class weighs the same in total; a class
    without images weighs nothing.

    Raises:
        ConfigError: the weights are of another number than the classes, or negative.
    """
    if weight is None:
        return None
    if isinstance(weight, str):
        if weight != "balanced":
            raise ConfigError(
                f"loss.weight={weight}: expected null, balanced or one number a class"
            )
        balanced = counts.sum() / (len(counts) * counts.clamp_min(1).double())
        return torch.where(counts > 0, balanced, 0.0).float()
    if len(weight) != len(counts):
        raise ConfigError(
            f"loss.weight has {len(weight)} numbers, but the data has {len(counts)} classes: "
            "give one number a class, or loss.weight=balanced"
        )
    if min(weight) < 0:
        raise ConfigError(f"loss.weight={list(weight)}: a class weight cannot be negative")
    return torch.tensor(weight, dtype=torch.float32)
