"""Residual networks of bottlenecks."""

import pytest
import torch

from sweeper.errors import ConfigError
from sweeper.models.resnet import Bottleneck, ResNet


def test_resnet50_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = ResNet((3, 224, 224), 1000, [3, 4, 6, 3], [64, 128, 256, 512])
    assert sum(parameter.numel() for parameter in model.parameters()) == 25_557_032


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ({}, (4, 2)),
        ({"stem_pool": False}, (8, 4)),
        ({"stem_stride": 1, "stem_pool": False, "stem_kernel_size": 4}, (16, 8)),
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
    block = Bottleneck(8, 2, stride=1, activation="relu").eval()
    torch.nn.init.zeros_(block.residual[-1].weight)
    images = torch.rand(2, 8, 4, 4)
    assert torch.equal(block(images), images)


@pytest.mark.parametrize(("blocks", "channels"), [([3, 4], [64]), ([], [])])
def test_lists_of_different_length_are_refused(blocks, channels) -> None:
    with pytest.raises(ConfigError, match=r"model\.blocks=.* model\.channels="):
        ResNet((1, 32, 32), 10, blocks, channels)
