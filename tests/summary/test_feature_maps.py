"""Feature maps before and after the activation."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from sweeper.summary.feature_maps import feature_maps

IMAGES = torch.linspace(-2, 2, 2 * 1 * 4 * 4).reshape(2, 1, 4, 4)


def conv() -> nn.Conv2d:
    """Return a convolution with two outputs: the doubled image, and the negated one."""
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


def test_an_activation_after_a_norm_is_found() -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_mean.fill_(1.0)
    maps = feature_maps(nn.Sequential(conv(), norm, nn.ReLU(inplace=True)), IMAGES, ["0"])["0"]
    assert torch.allclose(maps.before, DOUBLED - 1, atol=1e-4)
    assert torch.equal(maps.after, maps.before.clamp(min=0))


class Functional(nn.Module):
    """A network that calls its activations as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = conv(), nn.Conv2d(2, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(F.relu(self.one(images)).tanh())


def test_an_activation_called_as_a_function_is_found() -> None:
    maps = feature_maps(Functional(), IMAGES, ["one", "two"])
    assert maps["one"].activation == "relu"
    assert torch.equal(maps["one"].after, DOUBLED.clamp(min=0))
    assert maps["two"].after is None


def test_an_activation_of_another_shape_does_not_belong_to_the_layer() -> None:
    model = nn.Sequential(conv(), nn.MaxPool2d(2), nn.ReLU())
    maps = feature_maps(model, IMAGES, ["0"])["0"]
    assert torch.equal(maps.before, DOUBLED)
    assert maps.after is None


def test_an_activation_belongs_to_the_last_layer_before_it() -> None:
    model = nn.Sequential(conv(), nn.Conv2d(2, 2, 1), nn.ReLU())
    maps = feature_maps(model, IMAGES, ["0", "1"])
    assert torch.equal(maps["0"].before, DOUBLED)
    assert maps["0"].after is None
    with torch.no_grad():
        assert torch.equal(maps["1"].before, model[1](DOUBLED))
    assert maps["1"].activation == "relu"


@pytest.mark.parametrize("name", ["layer2.0.conv2", "layer2.0.downsample.0"])
def test_an_activation_of_a_residual_sum_belongs_to_neither_branch(name) -> None:
    model = resnet18().eval()
    outputs: list[Tensor] = []
    layer = model.get_submodule(name)
    handle = layer.register_forward_hook(lambda _, inputs, output: outputs.append(output.clone()))
    with torch.no_grad():
        model(torch.ones(2, 3, 32, 32))
    handle.remove()
    maps = feature_maps(model, torch.ones(2, 3, 32, 32), [name, "layer2.0.conv1"])
    assert torch.equal(maps[name].before, outputs[0])
    assert maps[name].after is None
    assert maps["layer2.0.conv1"].activation == "relu"


class LastChannels(nn.Module):
    """A block with channels last, as in ConvNeXt, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.wide = conv(), nn.LayerNorm(2), nn.Linear(2, 4)
        self.gelu, self.narrow, self.two = nn.GELU(), nn.Linear(4, 4), nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.one(images).permute(0, 2, 3, 1))
        maps = self.narrow(self.gelu(self.wide(maps)))
        return self.two(torch.permute(maps, [0, 3, 1, 2]))


def test_outputs_with_channels_last_are_left_out() -> None:
    model = LastChannels()
    names = [name for name, _ in model.named_children()]
    maps = feature_maps(model, IMAGES, names)
    assert list(maps) == ["one", "two"]
    assert torch.equal(maps["one"].before, DOUBLED)
    assert maps["one"].after is None


def test_an_activation_inside_a_block_does_not_belong_to_the_block() -> None:
    model = nn.Sequential(nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2)))
    maps = feature_maps(model, IMAGES, ["0"])["0"]
    assert maps.before.shape == (2, 2, 2, 2)
    assert maps.after is None


def test_an_activation_can_be_watched_itself() -> None:
    model = nn.Sequential(conv(), nn.ReLU(inplace=True), nn.Tanh())
    maps = feature_maps(model, IMAGES, ["1"])["1"]
    assert torch.equal(maps.before, DOUBLED)
    assert torch.equal(maps.after, DOUBLED.clamp(min=0))


def test_the_first_call_of_a_layer_counts() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    maps = feature_maps(nn.Sequential(layer, nn.ReLU(), layer), IMAGES, ["0"])["0"]
    assert torch.equal(maps.before, 2 * IMAGES)


def test_all_hooks_are_removed() -> None:
    model = nn.Sequential(conv(), nn.ReLU())
    feature_maps(model, IMAGES, ["0"])
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
