"""Activations by name."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.nn import functional as F

from sweeper.models.layers import ACTIVATIONS, Activation, activation_layers, make_activation
from sweeper.summary.feature_maps import feature_maps

OPTION = TypeAdapter(Activation)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in ("prelu", "rrelu")])
def test_an_activation_is_the_function_of_its_name(name) -> None:
    values = torch.linspace(-2, 2, 9)
    expected = getattr(F, name)(values.clone())
    torch.testing.assert_close(make_activation(name)(values.clone()), expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_drawn_as_one(name) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), make_activation(name))
    assert feature_maps(model, torch.ones(2, 1, 4, 4), ["0"])["0"].after is not None


@pytest.mark.parametrize(
    ("typed", "name"),
    [("leaky_relu", "leaky_relu"), ("LeakyReLU", "leaky_relu"), ("ELU", "elu"), ("none", "none")],
)
def test_the_name_of_the_function_or_of_the_class_is_accepted(typed, name) -> None:
    assert OPTION.validate_python(typed) == name


@pytest.mark.parametrize("typed", ["relo", "softmax", "MultiheadAttention", "glu"])
def test_other_names_are_refused_with_similar_ones(typed) -> None:
    with pytest.raises(ValidationError, match="an activation of torch.nn, such as"):
        OPTION.validate_python(typed)


def test_every_layer_is_a_new_one() -> None:
    assert make_activation("relu") is not make_activation("relu")


def test_none_is_no_layer() -> None:
    assert activation_layers("none") == []
