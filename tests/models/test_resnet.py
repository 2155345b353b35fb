"""Residual networks."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torchvision import models

from sweeper.errors import ConfigError
from sweeper.models.resnet import ResidualBlock, ResNet

NOT_ARGUMENTS = ("_target_", "min_image_size", "search")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_the_option_is_torchvisions_network(composed, name) -> None:
    node = OmegaConf.to_container(composed(f"model={name}").cfg.model)
    arguments = {k: v for k, v in node.items() if k not in NOT_ARGUMENTS}
    model = ResNet((3, 40, 40), 1000, **arguments).eval()
    theirs = models.get_model(name).eval()
    own, other = model.state_dict(), theirs.state_dict()
    assert [t.shape for t in own.values()] == [t.shape for t in other.values()]
    model.load_state_dict(dict(zip(own, other.values(), strict=True)))
    images = torch.rand(2, 3, 40, 40)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), theirs(images))


NORMS = [
    ({"norm": "batch", "norm_eps": 0.1, "norm_momentum": None}, nn.BatchNorm2d, "eps", 0.1),
    ({"norm": "group", "norm_groups": 4}, nn.GroupNorm, "num_groups", 4),
    ({"norm": "layer", "norm_eps": 0.01}, nn.GroupNorm, "num_groups", 1),
    ({"norm": "instance"}, nn.InstanceNorm2d, "affine", True),
]


@pytest.mark.parametrize(("arguments", "kind", "attribute", "value"), NORMS)
def test_the_norm_follows_each_convolution(arguments, kind, attribute, value) -> None:
    model = ResNet((1, 16, 16), 10, [1, 1], [4, 8], **arguments)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, kind)]
    assert len(norms) == len(convolutions) == 1 + 4 + 4
    assert {getattr(norm, attribute) for norm in norms} == {value}
    assert all(conv.bias is None for conv in convolutions)
    assert model(torch.rand(2, 1, 16, 16)).shape == (2, 10)


def test_without_a_norm_the_convolutions_have_a_bias() -> None:
    model = ResNet((1, 16, 16), 10, [1], [4], block="basic", norm="none", activation="none")
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    assert model(torch.rand(2, 1, 16, 16)).shape == (2, 10)


def test_groups_that_do_not_divide_the_channels_are_refused_with_the_largest_that_do() -> None:
    with pytest.raises(ConfigError, match=r"norm_groups=32 .* the 24 channels .*norm_groups=8"):
        ResNet((1, 32, 32), 10, [1, 1], [64, 96], stem_channels=24, norm="group")


def test_maps_of_a_pixel_are_refused_before_a_norm_over_their_pixels() -> None:
    arguments = {"blocks": [1, 1, 1, 1], "channels": [2, 2, 2, 2], "norm": "instance"}
    with pytest.raises(ConfigError, match=r"single pixel.*image_size=33 or more, or model\.norm="):
        ResNet((1, 32, 20), 10, **arguments)
    assert ResNet((1, 33, 33), 10, **arguments).train()(torch.rand(1, 1, 33, 33)).shape == (1, 10)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ({}, (4, 2)),
        ({"stem_pool": False}, (8, 4)),
        ({"stem_stride": 1, "stem_pool": False, "stem_kernel_size": 4}, (16, 8)),
        ({"stem_pool_size": 2, "stem_channels": 3}, (4, 2)),
        ({"stem_pool_stride": 1, "strides": [2, 3]}, (3, 2)),
    ],
)
def test_stem_and_stages_halve_the_image(stem, expected) -> None:
    model = ResNet((1, 32, 15), 10, [1, 2], [2, 4], **stem)
    images = torch.zeros(2, 1, 32, 15)
    assert model.stages(model.stem(images)).shape == (2, 16, *expected)
    assert model(images).shape == (2, 10)


def test_outputs_are_logits_and_not_probabilities() -> None:
    model = ResNet((1, 8, 8), 10, [1], [2]).eval()
    logits = model(torch.ones(2, 1, 8, 8))
    assert not torch.allclose(logits.sum(dim=1), torch.ones(2))


def test_a_bottleneck_that_keeps_the_shape_adds_its_input_as_it_is() -> None:
    block = ResidualBlock(8, 2, 1, "relu", lambda count: [nn.BatchNorm2d(count)]).eval()
    torch.nn.init.zeros_(block.residual[-1].weight)
    images = torch.rand(2, 8, 4, 4)
    assert torch.equal(block(images), images)


def test_strides_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.strides=\[1\] has 1 values for the 2 stages"):
        ResNet((1, 32, 32), 10, [1, 1], [4, 8], strides=[1])


@pytest.mark.parametrize(("blocks", "channels"), [([3, 4], [64]), ([], [])])
def test_lists_of_different_length_are_refused(blocks, channels) -> None:
    with pytest.raises(ConfigError, match=r"model\.blocks=.* model\.channels="):
        ResNet((1, 32, 32), 10, blocks, channels)
