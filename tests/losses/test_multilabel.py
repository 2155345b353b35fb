"""Adapters for sets of classes, compared with values computed by hand."""

import math

import pytest
import torch
from torch import nn

from sweeper.losses import ClassList, Logits, Sigmoids, Signs
from sweeper.losses.threshold import best_threshold

OUTPUTS = torch.tensor([[0.0, math.log(3)]])
LABELS = torch.tensor([[1, 0]])
# -log 1/2 for the positive label, and -log (1 - 3/4) for the negative one
BINARY = (math.log(2) + math.log(4)) / 2


@pytest.mark.parametrize(
    ("adapter", "criterion", "loss"),
    [
        (Logits, nn.BCEWithLogitsLoss(), BINARY),
        (Logits, nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0, 1.0])), 5 * math.log(2) / 2),
        (Logits, nn.MultiLabelSoftMarginLoss(), BINARY),
        (Logits, nn.MultiLabelSoftMarginLoss(weight=torch.tensor([0.0, 2.0])), math.log(4)),
        (Sigmoids, nn.BCELoss(), BINARY),
        (Sigmoids, nn.BCELoss(weight=torch.tensor([2.0, 0.0])), math.log(2)),
        (Signs, nn.SoftMarginLoss(), BINARY),
        (Signs, nn.SoftMarginLoss(reduction="none"), BINARY),
        (ClassList, nn.MultiLabelMarginLoss(), (1 - (0 - math.log(3))) / 2),
    ],
)
def test_a_loss_gets_the_target_it_is_defined_on(adapter, criterion, loss) -> None:
    assert adapter(criterion, 2, "multilabel")(OUTPUTS, LABELS).item() == pytest.approx(loss)


def test_a_list_of_classes_is_padded() -> None:
    labels = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    target = ClassList(nn.MultiLabelMarginLoss(), 4, "multilabel").target(labels)
    assert target.tolist() == [[0, 3, -1, -1], [-1, -1, -1, -1], [0, 1, 2, 3]]


def test_the_margin_compares_each_positive_class_with_each_negative_one() -> None:
    outputs, labels = torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[1, 0, 0, 1]])
    differences = 0.1 - 0.2, 0.1 - 0.4, 0.8 - 0.2, 0.8 - 0.4
    loss = ClassList(nn.MultiLabelMarginLoss(), 4, "multilabel")(outputs, labels)
    assert loss.item() == pytest.approx(sum(1 - difference for difference in differences) / 4)


@pytest.mark.parametrize(
    ("adapter", "criterion"),
    [(Logits, nn.BCEWithLogitsLoss()), (Sigmoids, nn.BCELoss()), (Signs, nn.SoftMarginLoss())],
)
def test_a_class_with_a_probability_above_one_half_is_predicted(adapter, criterion) -> None:
    adapter = adapter(criterion, 3, "multilabel")
    outputs = torch.tensor([[-math.log(3), 0.1, math.log(3)]])
    assert not adapter.needs_training_outputs
    assert adapter.predict(outputs).tolist() == [[0, 1, 1]]
    probabilities = adapter.probabilities(outputs)[0, [0, 2]].tolist()
    assert probabilities == pytest.approx([0.25, 0.75])


def margin_with_threshold() -> ClassList:
    """Return an adapter that learned from positive scores from 1 and negative ones up to 0."""
    adapter = ClassList(nn.MultiLabelMarginLoss(), 3, "multilabel")
    outputs = torch.tensor([[3.0, 0.0, 0.0], [5.0, 6.0, 7.0], [1.0, 2.0, 0.0]])
    labels = torch.tensor([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    adapter.learn((outputs[part], labels[part]) for part in torch.arange(3).split(2))
    return adapter


def test_a_margin_learns_the_threshold_of_its_predictions() -> None:
    adapter = margin_with_threshold()
    assert adapter.needs_training_outputs
    assert adapter.state_dict()["threshold"].item() == 0.5
    outputs = torch.tensor(
        [[1.0, 0.0, -1.0], [1.2, 1.2, 0.0]]
    )  # the mean of the second image is 0.8
    assert adapter.predict(outputs).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_a_margin_ignores_the_mean_output_of_an_image() -> None:
    adapter, outputs = margin_with_threshold(), torch.tensor([[1.0, 0.0, -1.0]])
    assert torch.equal(adapter.predict(outputs + 8), adapter.predict(outputs))
    assert torch.equal(adapter.probabilities(outputs + 8), adapter.probabilities(outputs))


def test_probabilities_of_a_margin_agree_with_its_predictions() -> None:
    adapter, generator = margin_with_threshold(), torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 3, generator=generator)
    predicted = adapter.predict(outputs)
    assert 0 < predicted.sum() < predicted.numel()
    assert torch.equal(adapter.probabilities(outputs) > 0.5, predicted.bool())


def test_a_margin_on_one_class_an_image_needs_no_threshold() -> None:
    adapter = ClassList(nn.MultiLabelMarginLoss(), 3)
    assert not adapter.needs_training_outputs
    assert adapter.predict(torch.tensor([[0.0, 2.0, 1.0]])).tolist() == [1]


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([[3], [2], [1], [0]], [[1], [1], [0], [0]], 1.5),
        ([[3], [2], [1], [0]], [[1], [1], [0], [1]], -1.0),  # F1 of 1/2, 4/5, 2/3 and 6/7
        ([[2], [1], [1], [0]], [[1], [1], [0], [0]], 0.5),  # equal scores stay together
        ([[3, 9], [1, 9]], [[1, 0], [0, 0]], 2.0),  # a class without images does not count
        ([[3, 1], [2, 0]], [[1, 1], [0, 0]], 0.5),  # 1 and 0, 2/3 and 0, 2/3 and 1
        ([[3], [2]], [[0], [0]], math.inf),
    ],
)
def test_the_threshold_has_the_best_mean_f1(scores, labels, expected) -> None:
    threshold = best_threshold(torch.tensor(scores).float(), torch.tensor(labels))
    assert threshold.item() == expected
