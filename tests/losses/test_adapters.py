"""Adapters and class weights against values worked by hand."""

import math

import pytest
import torch
from torch import nn

from sweeper.errors import ConfigError
from sweeper.losses import ClassIndex, OneHot, class_weights

OUTPUTS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
LABELS = torch.tensor([0, 0])


@pytest.mark.parametrize(
    ("adapter", "criterion", "loss"),
    [
        (ClassIndex, nn.CrossEntropyLoss(), (math.log1p(math.exp(-2)) + math.log1p(math.e)) / 2),
        (ClassIndex, nn.MultiMarginLoss(), (0 + 2 / 2) / 2),
        (OneHot, nn.MSELoss(), (1 + 0 + 1 + 1) / 4),
        (OneHot, nn.MSELoss(reduction="sum"), 3.0),
        (OneHot, nn.MSELoss(reduction="none"), 3 / 4),
    ],
)
def test_a_loss_gets_the_target_it_is_defined_on(adapter, criterion, loss) -> None:
    assert adapter(criterion, 2)(OUTPUTS, LABELS).item() == pytest.approx(loss)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_meter_reports_the_mean_of_an_image(reduction) -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(reduction=reduction), 2)
    meter = adapter.meter(torch.device("cpu"))
    for part in (slice(0, 1), slice(1, 2)):
        outputs, labels = OUTPUTS[part], LABELS[part]
        meter.update(outputs, labels, adapter(outputs, labels))
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.e)) / 2
    assert meter.compute() == {"loss": pytest.approx(expected), "accuracy": 0.5}


def test_a_batch_of_ignored_labels_costs_nothing() -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(ignore_index=0), 2)
    assert adapter(OUTPUTS, LABELS).item() == 0.0


@pytest.mark.parametrize("adapter", [ClassIndex, OneHot])
def test_probabilities_sum_to_one_and_agree_with_the_prediction(adapter) -> None:
    adapter = adapter(nn.MSELoss(), 2)
    probabilities = adapter.probabilities(OUTPUTS)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))
    assert probabilities.argmax(dim=1).tolist() == adapter.predict(OUTPUTS).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("weight", "counts", "expected"),
    [
        (None, [1, 1], None),
        ([1, 2], [5, 5], [1.0, 2.0]),
        ("balanced", [1, 3], [2.0, 2 / 3]),  # 4 / (2 * 1), 4 / (2 * 3)
        ("balanced", [0, 4], [0.0, 0.5]),
    ],
)
def test_class_weights_are_given_or_computed(weight, counts, expected) -> None:
    weights = class_weights(weight, torch.tensor(counts))
    assert (weights if weights is None else weights.tolist()) == (
        expected and pytest.approx(expected)
    )


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
def test_the_loss_measured_does_not_depend_on_the_batch_size(criterion) -> None:
    adapter, generator = ClassIndex(criterion, 3), torch.Generator().manual_seed(0)
    outputs = torch.randn(30, 3, generator=generator)
    labels = torch.randint(3, (30,), generator=generator)
    meter = adapter.meter(torch.device("cpu"))
    for batch in torch.arange(30).split(7):
        meter.update(outputs[batch], labels[batch], adapter(outputs[batch], labels[batch]))
    assert meter.compute()["loss"] == pytest.approx(criterion(outputs, labels).item(), rel=1e-5)


def test_ignored_labels_count_for_no_metric() -> None:
    adapter = ClassIndex(nn.CrossEntropyLoss(ignore_index=1), 2)
    meter = adapter.meter(torch.device("cpu"))
    labels = torch.tensor([0, 1])
    meter.update(OUTPUTS.flip(1), labels, adapter(OUTPUTS.flip(1), labels))
    assert meter.compute()["accuracy"] == 0.0
    assert meter.count == 2


@pytest.mark.parametrize("weight", [[1.0], [0.0, 0.0]])
def test_class_weights_that_do_not_fit_are_refused(weight) -> None:
    with pytest.raises(ConfigError, match=r"loss\.weight"):
        class_weights(weight, torch.tensor([1, 1]))
