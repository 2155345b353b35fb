"""The measures of each type of labels, and what `sweeper.objectives` says of them."""

import pytest
import torch
from torch import nn

from sweeper.losses import ClassIndex, Ctc, Logits
from sweeper.metrics.measures import measure_of
from sweeper.objectives import MEASURES, direction_of

CPU = torch.device("cpu")
SETS = torch.tensor([[1, 0, 0], [0, 1, 1]])
CLASSES = torch.tensor([0, 2])
STRINGS = torch.tensor([[0, 1], [2, -1]])

RIGHT = {
    "multiclass": (nn.functional.one_hot(CLASSES, 3).float(), CLASSES),
    "multilabel": (SETS.float() - 0.5, SETS),
    "sequence": (
        nn.functional.one_hot(torch.tensor([[1, 2], [3, 3]]), 4).float(),
        STRINGS,
    ),
}
"""For each type of labels, the outputs of a network that is always right, and the labels."""


def adapter_of(label_type):
    if label_type == "sequence":
        return Ctc(nn.CTCLoss(), 3)
    if label_type == "multilabel":
        return Logits(nn.BCEWithLogitsLoss(), 3, "multilabel")
    return ClassIndex(nn.CrossEntropyLoss(), 3)


def measured(label_type, outputs):
    measure = measure_of(adapter_of(label_type), CPU)
    measure.update(outputs, RIGHT[label_type][1])
    return measure.compute()


@pytest.mark.parametrize("label_type", MEASURES)
def test_each_measure_is_listed_with_the_direction_in_which_it_is_better(label_type) -> None:
    right = measured(label_type, RIGHT[label_type][0])
    wrong = measured(label_type, -RIGHT[label_type][0])
    assert list(right) == list(wrong) == list(MEASURES[label_type])
    for name in right:
        best = max if direction_of(f"val/{name}") == "maximize" else min
        assert right[name] != wrong[name]
        assert best(right[name], wrong[name]) == right[name]


@pytest.mark.parametrize("metric", ["val/loss", "n_parameters", "multiply_adds"])
def test_any_other_metric_is_minimised(metric) -> None:
    assert direction_of(metric) == "minimize"
