"""Activations by name, and blocks of layers."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.nn import functional as F

from sweeper.errors import ConfigError
from sweeper.models.geometry import Conv, Pool
from sweeper.models.layers import (
    ACTIVATIONS,
    Activation,
    activation_layers,
    conv_blocks,
    make_activation,
    pooling_layer,
)
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


def test_an_activation_has_the_arguments_of_torchs_layer() -> None:
    leaky = make_activation(OPTION.validate_python({"name": "LeakyReLU", "negative_slope": 0.2}))
    assert leaky(torch.tensor(-1.0)).item() == pytest.approx(-0.2)
    gelu = make_activation(OPTION.validate_python({"name": "gelu", "approximate": "tanh"}))
    values = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(gelu(values), F.gelu(values, approximate="tanh"))
    steep = make_activation({"name": "leaky_relu", "negative_slope": -0.5})
    steep(torch.ones(2, requires_grad=True) * 1).sum().backward()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"negative_slope": 0.2}, r"such as \{name: leaky_relu, negative_slope: 0\.2\}"),
        ({"name": "relo"}, "an activation of torch.nn, such as"),
        ({"name": "leaky_relu", "slope": 1}, r"model\.activation has no key slope; choose one of"),
        ({"name": "elu", "alpha": "x"}, r"model\.activation\.alpha=x: expected a valid number"),
    ],
)
def test_arguments_that_an_activation_does_not_have_are_refused(typed, message) -> None:
    with pytest.raises((ValidationError, ConfigError), match=message):
        OPTION.validate_python(typed)


def test_every_layer_is_a_new_one() -> None:
    assert make_activation("relu") is not make_activation("relu")


def test_none_is_no_layer() -> None:
    assert activation_layers("none") == []


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_block_trains_with_the_numbers_of_its_layers(activation: str, kind: str) -> None:
    layers = [Conv(4, (3, 3)), Pool((2, 2), (2, 2), kind=kind)]
    (block,) = conv_blocks(1, layers, pooling_layer, batch_norm=True, activation=activation)
    order = []
    for layer in block:
        layer.register_forward_hook(lambda layer, *_: order.append(type(layer)))
    images, weights = torch.randn(8, 1, 9, 9), list(block.parameters())
    outputs = [block(images), nn.Sequential(*block)(images)]
    assert torch.equal(*outputs)
    gradients = [torch.autograd.grad(y.square().sum(), weights) for y in outputs]
    assert all(map(torch.equal, *gradients))
    swaps = kind == "max" and activation == "relu"
    assert (order[:4] != order[4:]) is swaps
    block.eval()(images)
    assert order[8:] == order[4:8]
