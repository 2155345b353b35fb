"""Class weights, compared with values computed by hand."""

import pytest
import torch

from sweeper.errors import ConfigError
from sweeper.losses.class_weights import class_weights, positive_weights


@pytest.mark.parametrize(
    ("weight", "counts", "expected"),
    [
        (None, [1, 1], None),
        ([1, 2], [5, 5], [1.0, 2.0]),
        ("balanced", [1, 3], [2.0, 2 / 3]),  # 4 / (2 * 1), 4 / (2 * 3)
        ("balanced", [0, 4], [0.0, 0.5]),
    ],
)
def test_class_weights_are_listed_or_computed(weight, counts, expected) -> None:
    weights = class_weights(weight, torch.tensor(counts))
    assert (weights if weights is None else weights.tolist()) == (
        expected and pytest.approx(expected)
    )


@pytest.mark.parametrize(
    ("weight", "counts", "expected"),
    [
        (None, [1, 1], None),
        ([1, 2], [5, 5], [1.0, 2.0]),
        ("balanced", [1, 8], [9.0, 0.25]),  # (10 - 1) / 1, (10 - 8) / 8
        ("balanced", [0, 10], [1.0, 1.0]),  # there is nothing to balance
    ],
)
def test_positive_weights_balance_positive_and_negative_labels(weight, counts, expected) -> None:
    weights = positive_weights(weight, torch.tensor(counts), n_images=10)
    assert (weights if weights is None else weights.tolist()) == (
        expected and pytest.approx(expected)
    )


@pytest.mark.parametrize("weight", [[1.0], [0.0, 0.0]])
def test_class_weights_that_do_not_fit_are_refused(weight) -> None:
    with pytest.raises(ConfigError, match=r"loss\.weight"):
        class_weights(weight, torch.tensor([1, 1]))
    with pytest.raises(ConfigError, match=r"loss\.pos_weight"):
        positive_weights(weight, torch.tensor([1, 1]), n_images=2)
