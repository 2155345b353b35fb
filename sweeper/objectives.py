"""What a run can be judged by, known before anything heavy is imported."""

from collections.abc import Sequence
from typing import Literal

Direction = Literal["minimize", "maximize"]

METRICS = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
"""Measured every epoch."""

SIZES = ("n_parameters", "multiply_adds")
"""Known of a network before it is trained."""


def sought(metric: str) -> Direction:
    """Return the direction that a metric is good in: only accuracy is to grow."""
    return "maximize" if metric.endswith("accuracy") else "minimize"


def directions(
    metric: str | Sequence[str], direction: str | Sequence[str] | None
) -> str | list[str]:
    """Return the direction given, or else that of each metric."""
    if direction is not None:
        return direction if isinstance(direction, str) else list(direction)
    return sought(metric) if isinstance(metric, str) else [sought(one) for one in metric]
