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
