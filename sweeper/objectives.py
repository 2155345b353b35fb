"""What a run can be judged by, known before anything heavy is imported."""

from collections.abc import Mapping, Sequence
from typing import Literal

Direction = Literal["minimize", "maximize"]

LabelType = Literal["multiclass", "multilabel", "sequence"]
"""What is known of an image: its one class, the set of its classes, or a string of them."""

MEASURES: Mapping[LabelType, tuple[str, ...]] = {
    "multiclass": ("accuracy",),
    "multilabel": ("mean_average_precision", "f1"),
    "sequence": ("sequence_accuracy", "character_error_rate"),
}
"""What is measured of predictions beside the loss; the first says most."""

SPLITS = ("train", "val")

METRICS = tuple(
    f"{split}/{name}"
    for split in SPLITS
    for name in ("loss", *(name for names in MEASURES.values() for name in names))
)
"""Measured every epoch, by one type of labels or another."""

SIZES = ("n_parameters", "multiply_adds")
"""Known of a network before it is trained."""


def epoch_metrics(label_type: LabelType) -> tuple[str, ...]:
    """Return the metrics of an epoch on data with labels of this type."""
    return tuple(f"{split}/{name}" for split in SPLITS for name in ("loss", *MEASURES[label_type]))


def headline(label_type: LabelType) -> str:
    """Return the validation metric that says most."""
    return f"val/{MEASURES[label_type][0]}"


def direction_of(metric: str) -> Direction:
    """Return `maximize` for a metric that is better when higher, else `minimize`."""
    return "maximize" if metric.endswith(("accuracy", "precision", "f1")) else "minimize"


def directions(
    metric: str | Sequence[str], direction: str | Sequence[str] | None
) -> str | list[str]:
    """Return the direction given, or else that of each metric."""
    if direction is not None:
        return direction if isinstance(direction, str) else list(direction)
    return direction_of(metric) if isinstance(metric, str) else [direction_of(m) for m in metric]
