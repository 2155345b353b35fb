"""Feature maps as the activation found and left them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.models.feature_maps import feature_maps

IMAGES = torch.linspace(-2, 2, 2 * 1 * 4 * 4).reshape(2, 1, 4, 4)


def conv() -> nn.Conv2d:
    """Return a convolution that doubles its image, and one that negates it."""
    layer = nn.Conv2d(1, 2, 1, bias=False)
    nn.init.constant_(layer.weight[0], 2.0)
    nn.init.constant_(layer.weight[1], -1.0)
    return layer


DOUBLED = torch.cat([2 * IMAGES, -IMAGES], dim=1)

ACTIVATIONS = [
    *(nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(0.1, inplace=True), nn.ReLU6(), nn.PReLU()),
    *(nn.ELU(inplace=True), nn.SELU(), nn.CELU(), nn.GELU(), nn.SiLU(inplace=True), nn.Mish()),
    *(nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Hardswish(), nn.Hardtanh(), nn.Hardsigmoid()),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_the_maps_before_and_after_the_activation(activation) -> None:
    maps = feature_maps(nn.Sequential(conv(), activation), IMAGES, ["0"])["0"]
    assert torch.equal(maps.before, DOUBLED)
    with torch.no_grad():
        assert torch.equal(maps.after, activation(DOUBLED.clone()))
    assert maps.activation


def test_an_activation_is_seen_behind_normalisation() -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_mean.fill_(1.0)
    maps = feature_maps(nn.Sequential(conv(), norm, nn.ReLU(inplace=True)), IMAGES, ["0"])["0"]
    assert torch.allclose(maps.before, DOUBLED - 1, atol=1e-4)
    assert torch.equal(maps.after, maps.before.clamp(min=0))


class Functional(nn.Module):
    """Calls its activations as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(), nn.Conv2d(2, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(F.relu(self.one(images)).tanh())


def test_an_activation_that_is_no_module_is_seen() -> None:
    maps = feature_maps(Functional(), IMAGES, ["one", "two"])
    assert maps["one"].activation == "relu"
    assert torch.equal(maps["one"].after, DOUBLED.clamp(min=0))
    assert maps["two"].after is None


def test_an_activation_of_another_shape_is_another_layers() -> None:
    model = nn.Sequential(conv(), nn.MaxPool2d(2), nn.ReLU())
    maps = feature_maps(model, IMAGES, ["0"])["0"]
    assert torch.equal(maps.before, DOUBLED)
    assert maps.after is None


def test_an_activation_can_be_watched_itself() -> None:
    model = nn.Sequential(conv(), nn.ReLU(inplace=True), nn.Tanh())
    maps = feature_maps(model, IMAGES, ["1"])["1"]
    assert torch.equal(maps.before, DOUBLED)
    assert torch.equal(maps.after, DOUBLED.clamp(min=0))


def test_of_a_layer_that_is_called_twice_the_first_call_is_shown() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    maps = feature_maps(nn.Sequential(layer, nn.ReLU(), layer), IMAGES, ["0"])["0"]
    assert torch.equal(maps.before, 2 * IMAGES)


def test_looking_leaves_no_hook_behind() -> None:
    model = nn.Sequential(conv(), nn.ReLU())
    feature_maps(model, IMAGES, ["0"])
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
