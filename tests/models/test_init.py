"""The parameters that an initialisation fills, and their values."""

import pytest
import torch
from torch import nn

from sweeper.models.init import initialise

# layer, its weight and bias afterwards; 0.25 is the value from before
TREATMENT = [
    (nn.Conv2d(1, 2, 3), 7.0, 0.0),
    (nn.Linear(2, 2), 7.0, 0.0),
    (nn.BatchNorm2d(2), 1.0, 0.0),
    (nn.BatchNorm1d(2), 1.0, 0.0),
    (nn.LayerNorm(2), 0.25, 0.25),
]


@pytest.mark.parametrize(("layer", "weight", "bias"), TREATMENT)
def test_weights_are_filled_biases_cleared_and_norms_reset(layer, weight, bias) -> None:
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.25)
    initialise(nn.Sequential(layer), lambda tensor: nn.init.constant_(tensor, 7.0))
    assert torch.all(layer.weight == weight)
    assert torch.all(layer.bias == bias)


def test_layers_without_bias_and_norms_without_weights_are_skipped() -> None:
    conv = nn.Conv2d(1, 2, 3, bias=False)
    initialise(nn.Sequential(conv, nn.BatchNorm2d(2, affine=False)), nn.init.ones_)
    assert torch.all(conv.weight == 1)


def network() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(8, 3)
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.25)
    return model


def ninth(tensor: torch.Tensor) -> None:
    nn.init.constant_(tensor, 9.0)


# the weights of the convolution, the batch norm, the group norm and the linear layer afterwards
BY_TYPE = [
    ({"conv": ninth}, [9.0, 1.0, 0.25, 7.0]),
    ({"linear": ninth}, [7.0, 1.0, 0.25, 9.0]),
    ({"norm": ninth}, [7.0, 9.0, 9.0, 7.0]),
    ({"conv": None, "norm": None}, [0.25, 0.25, 0.25, 7.0]),
]


@pytest.mark.parametrize(("by_type", "weights"), BY_TYPE)
def test_a_type_of_layers_may_have_its_own_function(by_type, weights) -> None:
    model = network()
    initialise(model, lambda tensor: nn.init.constant_(tensor, 7.0), by_type)
    layers = [layer for layer in model if hasattr(layer, "weight")]
    assert [layer.weight.unique().item() for layer in layers] == weights
    assert [layer.bias.unique().item() == 0 for layer in layers] == [w != 0.25 for w in weights]


def test_without_a_function_for_all_layers_the_others_keep_their_values() -> None:
    model = network()
    initialise(model, None, {"linear": ninth})
    layers = [layer for layer in model if hasattr(layer, "weight")]
    assert [layer.weight.unique().item() for layer in layers] == [0.25, 0.25, 0.25, 9.0]
