"""The multilayer perceptron."""

import pytest
import torch
from torch import nn

from sweeper.models.mlp import MLP

# 64*20 + 20 + 20*10 + 10; with batch norm 64*20 + 2*20 + 20*10 + 10; logistic regression 64*10 + 10
COUNTS = [([20], False, 1_510), ([20], True, 1_530), ([], False, 650)]


@pytest.mark.parametrize(("hidden", "batch_norm", "expected"), COUNTS)
def test_parameters_are_those_counted_by_hand(hidden, batch_norm, expected) -> None:
    model = MLP((1, 8, 8), 10, hidden, batch_norm=batch_norm)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_hidden_layer_is_linear_norm_activation_dropout() -> None:
    model = MLP((1, 8, 8), 10, [4, 3], dropout=0.5, batch_norm=True, activation="gelu")
    hidden = [nn.Linear, nn.BatchNorm1d, nn.GELU, nn.Dropout]
    assert [type(layer) for layer in model] == [nn.Flatten, *hidden, *hidden, nn.Linear]
