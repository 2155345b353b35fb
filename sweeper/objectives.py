"""The metrics of a run and their directions. This module imports nothing heavy."""

from collections.abc import Mapping, Sequence
from typing import Literal

Direction = Literal["minimize", "maximize"]

LabelType = Literal["multiclass", "multilabel", "sequence"]
"""The label of an image: one class, a set of classes, or a string of classes."""

MEASURES: Mapping[LabelType, Mapping[str, Direction]] = {
    "multiclass": {"accuracy": "maximize"},
    "multilabel": {"mean_average_precision": "maximize", "f1": "maximize"},
    "sequence": {"sequence_accuracy": "maximize", "character_error_rate": "minimize"},
}
"""The measures of each type of labels besides the loss. The first is the default metric."""

SPLITS = ("train", "val")

METRICS = tuple(
    f"{split}/{name}"
    for split in SPLITS
    for name in ("loss", *(name for names in MEASURES.values() for name in names))
)
"""The metrics of an epoch, over all types of labels."""

TEST = "test/"
"""What the names of all scores on the test split begin with. Nothing is chosen by them."""

SIZES = ("n_parameters", "multiply_adds")
"""The metrics of a network that are known before training."""


def epoch_metrics(label_type: LabelType) -> tuple[str, ...]:
    """Return the metrics of an epoch for data with labels of this type."""
    return tuple(f"{split}/{name}" for split in SPLITS for name in ("loss", *MEASURES[label_type]))


def headline(label_type: LabelType) -> str:
    """Return the most important validation metric for labels of this type."""
    return f"val/{next(iter(MEASURES[label_type]))}"


def direction_of(metric: str) -> Direction:
    """Return the direction of a metric; any but the `MEASURES`, such as a loss, is minimised."""
    name = metric.rpartition("/")[2]
    every = (measures[name] for measures in MEASURES.values() if name in measures)
    return next(every, "minimize")


def directions(
    metric: str | Sequence[str], direction: str | Sequence[str] | None
) -> str | list[str]:
    """Return `direction` if it is set, else the direction of each metric."""
    if direction is not None:
        return direction if isinstance(direction, str) else list(direction)
    return direction_of(metric) if isinstance(metric, str) else [direction_of(m) for m in metric]


def rescales(key: str, metric: str) -> bool:
    """Return whether a config key changes what a metric measures, as a key of the loss may do.

    The size of an embedding is one of the network.
    """
    is_of_loss = key == "loss" or (key.startswith("loss.") and key != "loss.embedding_size")
    return is_of_loss and metric in {f"{split}/loss" for split in SPLITS}
