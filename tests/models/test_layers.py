"""Activations by name."""

from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from sweeper.models.layers import Activation, make_activation

FUNCTIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
}


@pytest.mark.parametrize("name", get_args(Activation))
def test_an_activation_is_the_function_of_its_name(name) -> None:
    values = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(make_activation(name)(values.clone()), FUNCTIONS[name](values))


def test_every_layer_is_a_new_one() -> None:
    assert make_activation("relu") is not make_activation("relu")
