"""Receptive fields, compared with values computed by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.models.convnet import ConvNet
from sweeper.models.resnet import ResidualBlock
from sweeper.summary.field import Field
from sweeper.summary.receptive_field import FieldTracker


def square(size: int, jump: int) -> Field:
    return Field((size, size), (jump, jump))


def field_of(model: nn.Module, size: int = 32) -> Field | None:
    images = torch.zeros(1, 1, size, size)
    with FieldTracker(images) as tracker:
        output = model(images)
    return tracker.field(output)


class Function(nn.Module):
    """A network of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.forward = function


class Branches(nn.Module):
    """Two branches of different kernels, joined along the channels."""

    def forward(self, images: Tensor) -> Tensor:
        wide = F.conv2d(images, torch.ones(1, 1, 5, 5), padding=2)
        narrow = F.conv2d(images, torch.ones(1, 1, 3, 3), padding=1)
        return torch.cat([narrow, wide], dim=1)


class Uneven(nn.Module):
    """Two branches of the same output size, padded on different sides."""

    def forward(self, images: Tensor) -> Tensor:
        twice, once = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)
        down = F.conv2d(F.pad(images, (0, 1, 0, 1)), twice)
        return F.conv2d(F.pad(down, (0, 1, 0, 1)), twice) + F.conv2d(images, once, padding=1)


# size += (kernel - 1) * jump, then jump *= stride
WORKED = {
    "two strided convolutions": (
        nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 2, stride=2)),
        square(5, 4),  # 1 + 2*1 = 3, jump 2; 3 + 1*2 = 5, jump 4
    ),
    "pooling with a stride unlike its window": (
        nn.Sequential(nn.MaxPool2d(3, stride=2), nn.AvgPool2d(2)),
        square(5, 4),
    ),
    "dilation": (nn.Conv2d(1, 1, 3, dilation=2), square(5, 1)),
    "a kernel that is not square": (nn.Conv2d(1, 1, (1, 7), stride=(1, 2)), Field((1, 7), (1, 2))),
    "an even kernel": (ConvNet((1, 32, 32), 2, [1], [], kernel_size=4).features, square(5, 2)),
    "dilated max pooling": (nn.MaxPool2d(2, stride=1, dilation=3), square(4, 1)),
    # windows of 5 pixels for 3: 0..1, 1..3, 3..4
    "an adaptive pooling with windows of different size": (
        nn.Sequential(nn.AvgPool2d(6), nn.AdaptiveAvgPool2d(3)), square(18, 12)
    ),
    # 2x2 then 2x2 depends on 0..2, 3x3 on -1..1
    "branches that are not centred alike": (Uneven(), square(4, 1)),
    "a global pooling sees the whole image": (nn.AdaptiveAvgPool2d(1), square(32, 1)),
    "an adaptive pooling to four": (nn.AdaptiveMaxPool2d(4), square(8, 8)),
    "the wider branch": (Branches(), square(5, 1)),
    # 7x7 stride 2: 7, 2; pool 3 stride 2: 11, 4; its 3x3 stride 2: 11 + 2*4 = 19, 8; shortcut 11, 8
    "a bottleneck behind the stem": (
        nn.Sequential(
            nn.Conv2d(1, 8, 7, 2, 3),
            nn.MaxPool2d(3, 2, 1),
            ResidualBlock(8, 2, 2, "relu", lambda count: [nn.BatchNorm2d(count)]).eval(),
        ),
        square(19, 8),
    ),
    # VGG-11: 3, 1; pool 4, 2; conv 8; pool 10, 4; convs 18, 26; pool 30, 8; convs 46, 62;
    # pool 70, 16; convs 102, 134; pool 150, 32
    "VGG-11": (
        ConvNet(
            (1, 32, 32), 2, [1, "M", 1, "M", 1, 1, "M", 1, 1, "M", 1, 1, "M"], []
        ).features,
        square(150, 32),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "expected"), WORKED.values(), ids=WORKED.keys())
def test_the_field_is_the_one_computed_by_hand(model, expected) -> None:
    field = field_of(model)
    assert (field.size, field.jump) == (expected.size, expected.jump)


@pytest.mark.parametrize(
    ("padding", "start"), [("same", (-2, -1)), ("valid", (0, 0)), ((3, 1), (-3, -1))]
)
def test_the_first_patch_begins_in_the_padding(padding, start) -> None:
    assert field_of(nn.Conv2d(1, 1, (5, 3), padding=padding)).start == start


@pytest.mark.parametrize(
    "model", [nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 32, 32)))]
)
def test_a_flattened_image_has_no_field_afterwards(model) -> None:
    assert field_of(model) is None


@pytest.mark.parametrize(
    "function",
    [
        lambda images: images @ images.transpose(-1, -2),
        lambda images: F.interpolate(images, scale_factor=2.0),
        lambda images: F.conv_transpose2d(images, torch.ones(1, 1, 2, 2), stride=2),
        lambda images: images[:, :, ::2, ::2],
        lambda images: images.mean(dim=(2, 3), keepdim=True),
    ],
    ids=["attention", "enlarging", "transposed convolution", "every other pixel", "mean"],
)
def test_functions_that_mix_pixels_in_other_ways_have_no_field(function) -> None:
    assert field_of(Function(function)) is None


@pytest.mark.parametrize(
    "function", [lambda images: images[:, :1], lambda images: images.mean(dim=1, keepdim=True)]
)
def test_selected_and_averaged_channels_keep_the_field(function) -> None:
    assert field_of(Function(function)) == Field()
