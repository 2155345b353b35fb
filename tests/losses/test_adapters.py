"""Adapters, compared with values computed by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from sweeper.losses import (
    ClassIndex,
    ClassList,
    Distribution,
    Logits,
    LogProbabilities,
    OneHot,
    Probabilities,
    Rate,
    Sigmoids,
    Signs,
)

OUTPUTS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
LABELS = torch.tensor([0, 0])


def softplus(x: float) -> float:
    """Return the softplus, -log(sigmoid(-x))."""
    return math.log1p(math.exp(x))


# -log softmax of the right class: log(1 + e^-2) and log(1 + e)
CROSS_ENTROPY = (softplus(-2) + softplus(1)) / 2
# two logits for each image: the target of the right class is 1, that of the other 0
BINARY = (softplus(-2) + softplus(0) + softplus(0) + softplus(1)) / 4
# probabilities of the wrong class under a softmax, e^0 / (e^2 + e^0) and e / (e + e^0)
WRONG_PROBABILITIES = (1 / (1 + math.e**2), math.e / (1 + math.e))

WORKED = [
    (ClassIndex, nn.CrossEntropyLoss(), CROSS_ENTROPY),
    (ClassIndex, nn.MultiMarginLoss(), (0 + (1 + 1) / 2) / 2),
    (LogProbabilities, nn.NLLLoss(), CROSS_ENTROPY),
    (Sigmoids, nn.BCELoss(), BINARY),
    (Logits, nn.BCEWithLogitsLoss(), BINARY),
    (Logits, nn.MultiLabelSoftMarginLoss(), BINARY),
    (Signs, nn.SoftMarginLoss(), BINARY),
    (ClassList, nn.MultiLabelMarginLoss(), (0 + (1 + 1) / 2) / 2),
    (Probabilities, nn.L1Loss(), (2 * WRONG_PROBABILITIES[0] + 2 * WRONG_PROBABILITIES[1]) / 4),
    (OneHot, nn.MSELoss(), (1 + 0 + 1 + 1) / 4),
    (OneHot, nn.MSELoss(reduction="sum"), 3.0),
    (OneHot, nn.MSELoss(reduction="none"), 3 / 4),
    (OneHot, nn.SmoothL1Loss(beta=0.5), (0.75 + 0 + 0.75 + 0.75) / 4),  # |d| - beta / 2
    # the mean of e^x - t * x over images and classes
    (Rate, nn.PoissonNLLLoss(), (math.e**2 - 2 + 1 + 1 - 0 + math.e) / 4),
    (Distribution, nn.KLDivLoss(reduction="batchmean"), CROSS_ENTROPY),  # a one-hot has no entropy
    (Distribution, nn.KLDivLoss(reduction="sum"), 2 * CROSS_ENTROPY),
]


@pytest.mark.parametrize(
    ("adapter", "criterion", "loss"), WORKED, ids=[str(criterion) for _, criterion, _ in WORKED]
)
def test_a_loss_gets_the_target_and_activation_it_is_defined_on(adapter, criterion, loss) -> None:
    assert adapter(criterion, 2)(OUTPUTS, LABELS).item() == pytest.approx(loss)


@pytest.mark.parametrize(
    ("adapter", "criterion", "plain"),
    [
        (Rate, nn.PoissonNLLLoss(log_input=False), nn.PoissonNLLLoss()),
        (
            Distribution,
            nn.KLDivLoss(reduction="batchmean", log_target=True),
            nn.KLDivLoss(reduction="batchmean"),
        ),
    ],
)
def test_a_criterion_with_or_without_logarithms_gives_the_same_loss(
    adapter, criterion, plain
) -> None:
    losses = [adapter(loss, 2)(OUTPUTS, LABELS).item() for loss in (criterion, plain)]
    assert losses[0] == pytest.approx(losses[1])


SETS = torch.tensor([[1, 1], [0, 1]])


@pytest.mark.parametrize(
    ("adapter", "criterion", "target", "loss"),
    [
        (
            Logits,
            nn.BCEWithLogitsLoss(),
            [[1, 1], [0, 1]],
            (softplus(-2) + softplus(0) + softplus(0) + softplus(-1)) / 4,
        ),
        (
            Signs,
            nn.SoftMarginLoss(),
            [[1, 1], [-1, 1]],
            (softplus(-2) + softplus(0) + softplus(0) + softplus(-1)) / 4,
        ),
        # nothing is absent in the first image; in the second 1 - (1 - 0) = 0
        (ClassList, nn.MultiLabelMarginLoss(), [[0, 1], [1, -1]], 0.0),
    ],
)
def test_a_loss_gets_the_target_for_a_set_of_classes(adapter, criterion, target, loss) -> None:
    adapter = adapter(criterion, 2, "multilabel")
    assert adapter.target(SETS).tolist() == target
    assert adapter(OUTPUTS, SETS).item() == pytest.approx(loss, abs=1e-7)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_meter_reports_the_mean_over_images(reduction) -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(reduction=reduction), 2)
    meter = adapter.meter(torch.device("cpu"))
    for part in (slice(0, 1), slice(1, 2)):
        outputs, labels = OUTPUTS[part], LABELS[part]
        meter.update(outputs, labels, adapter(outputs, labels))
    assert meter.compute() == {"loss": pytest.approx(CROSS_ENTROPY), "accuracy": 0.5}


def test_a_batch_of_ignored_labels_has_a_loss_of_zero() -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(ignore_index=0), 2)
    assert adapter(OUTPUTS, LABELS).item() == 0.0


@pytest.mark.parametrize(
    ("adapter", "criterion"), {a: (a, c) for a, c, _ in WORKED}.values(), ids=lambda a: str(a)
)
def test_probabilities_sum_to_one_and_agree_with_the_prediction(adapter, criterion) -> None:
    adapter = adapter(criterion, 2)
    probabilities = adapter.probabilities(OUTPUTS)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))
    assert probabilities.argmax(dim=1).tolist() == adapter.predict(OUTPUTS).tolist() == [0, 1]


def test_probabilities_are_defined_where_all_sigmoids_underflow() -> None:
    low = torch.tensor([[-200.0, -300.0]])
    assert Sigmoids(nn.BCELoss(), 2).probabilities(low)[0, 0] == 1.0


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 0.5])),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 0.5]), ignore_index=2),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.MultiMarginLoss(weight=torch.tensor([1.0, 3.0, 0.5])),
    ],
)
def test_the_loss_of_a_meter_does_not_depend_on_the_batch_size(criterion) -> None:
    adapter, generator = ClassIndex(criterion, 3), torch.Generator().manual_seed(0)
    outputs = torch.randn(30, 3, generator=generator)
    labels = torch.randint(3, (30,), generator=generator)
    meter = adapter.meter(torch.device("cpu"))
    for batch in torch.arange(30).split(7):
        meter.update(outputs[batch], labels[batch], adapter(outputs[batch], labels[batch]))
    assert meter.compute()["loss"] == pytest.approx(criterion(outputs, labels).item(), rel=1e-5)


def test_negative_log_likelihood_divides_by_the_sum_of_the_weights() -> None:
    weight = torch.tensor([1.0, 3.0])
    likelihood = LogProbabilities(nn.NLLLoss(weight=weight), 2)
    labels = torch.tensor([0, 1])
    assert likelihood.loss_weight(labels) == 4.0
    expected = functional.cross_entropy(OUTPUTS, labels, weight)
    torch.testing.assert_close(likelihood(OUTPUTS, labels), expected)


def test_ignored_labels_do_not_count_for_the_accuracy() -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(ignore_index=1), 2)
    meter = adapter.meter(torch.device("cpu"))
    labels = torch.tensor([0, 1])
    meter.update(OUTPUTS.flip(1), labels, adapter(OUTPUTS.flip(1), labels))
    assert meter.compute()["accuracy"] == 0.0
    assert meter.count == 2


def test_a_batch_of_classes_with_weight_zero_has_a_loss_of_zero() -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(weight=torch.tensor([0.0, 1.0])), 2)
    assert adapter(OUTPUTS, LABELS).item() == 0.0
    assert adapter(OUTPUTS, torch.tensor([0, 1])).isfinite()


def test_logits_whose_sigmoid_rounds_to_one_are_still_ranked() -> None:
    adapter = Logits(nn.BCEWithLogitsLoss(), 1, "multilabel")
    meter = adapter.meter(torch.device("cpu"))
    outputs, labels = torch.tensor([[40.0], [30.0], [20.0], [-1.0]]), torch.tensor([1, 1, 0, 0])
    meter.update(outputs, labels[:, None], adapter(outputs, labels[:, None]))
    assert meter.compute()["mean_average_precision"] == 1.0
