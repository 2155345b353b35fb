"""Chains of convolutions: shapes, parameter counts, and arguments that are refused."""

import pytest
import torch
from torch import nn
from torchvision import models

from sweeper.errors import ConfigError, ShapeError
from sweeper.models.convnet import ConvNet


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# Worked by hand: a convolution has in * out * k * k weights and out biases, a linear layer
# in * out and out, a batch norm 2 * channels; before a batch norm there is no bias.
COUNTS = [
    # 25*16 + 16 = 416; 16*25*32 + 32 = 12832; 32*2*2*10 + 10 = 1290
    ((1, 8, 8), {"channels": [16, 32], "hidden": [], "kernel_size": 5}, 14_538),
    # 156 + 2416 + 48120 + 10164 + 850, the numbers of the paper's layers
    (
        (1, 28, 28),
        {"channels": [6, 16], "hidden": [120, 84], "kernel_size": 5, "padding": ["same", 0]},
        61_706,
    ),
    # 9*4 + 8 = 44; 4*9*8 + 16 = 304; 8*4*4*10 + 10 = 1290: one pooling, batch norm
    ((1, 8, 8), {"channels": [4, "M", 8], "hidden": [], "batch_norm": True}, 1_638),
    # half of [16, 32] and of [20]: 80 + 1168 + (16*4*10 + 10) + (10*10 + 10)
    ((1, 8, 8), {"channels": [16, 32], "hidden": [20], "width": 0.5}, 2_008),
    # nothing is pooled: 1*4*4*2 + 2 = 34; 2*64*10 + 10
    ((1, 8, 8), {"channels": [2], "hidden": [], "kernel_size": 4, "pool_size": 1}, 1_324),
]


@pytest.mark.parametrize(("input_shape", "arguments", "expected"), COUNTS)
def test_parameters_are_those_counted_by_hand(input_shape, arguments, expected) -> None:
    model = ConvNet(input_shape, 10, **arguments)
    assert n_parameters(model) == expected
    assert model(torch.zeros(2, *input_shape)).shape == (2, 10)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize(("stride", "expected"), [(1, (9, 6)), (2, (5, 3)), (3, (3, 2))])
def test_same_padding_gives_size_over_stride_rounded_up(kernel_size, stride, expected) -> None:
    model = ConvNet((3, 9, 6), 10, [4], [], kernel_size=kernel_size, stride=stride, pool_size=1)
    images = torch.zeros(2, 3, 9, 6)
    assert model.features(images).shape == (2, 4, *expected)
    assert model(images).shape == (2, 10)


def test_an_even_kernel_pads_below_and_to_the_right() -> None:
    conv = ConvNet((1, 3, 3), 2, [1], [], kernel_size=2, pool_size=1).features[0][0]
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    expected = torch.tensor([[4.0, 4, 2], [4, 4, 2], [2, 2, 1]])
    assert torch.equal(conv(torch.ones(1, 1, 3, 3))[0, 0], expected)


def test_kernel_sizes_strides_and_paddings_may_differ_by_convolution() -> None:
    model = ConvNet(
        (1, 16, 16), 10, [2, "M", 4], [], kernel_size=[5, 3], stride=[1, 2], padding=[2, 0]
    )
    first, second = model.features[0][0], model.features[1][0]
    assert (first.kernel_size, first.stride, first.padding) == ((5, 5), (1, 1), (2, 2))
    assert (second.kernel_size, second.stride, second.padding) == ((3, 3), (2, 2), (0, 0))


def test_a_block_is_convolution_norm_activation_pooling() -> None:
    model = ConvNet(
        (1, 8, 8), 10, [2, "M", 4], [6], batch_norm=True, activation="tanh", pooling="average"
    )
    blocks = [[type(layer) for layer in block] for block in model.features]
    assert blocks == [
        [nn.Conv2d, nn.BatchNorm2d, nn.Tanh, nn.AvgPool2d],
        [nn.Conv2d, nn.BatchNorm2d, nn.Tanh],
    ]


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ([], [nn.Flatten, nn.Dropout, nn.Linear]),
        ([6], [nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]),
    ],
)
def test_dropout_comes_before_the_last_linear_layer(hidden, expected) -> None:
    model = ConvNet((1, 8, 8), 10, [2], hidden, dropout=0.5)
    assert [type(layer) for layer in model.classifier] == expected


@pytest.mark.parametrize("channels", [["M", 2], [2, "M", "M"], ["M"], []])
def test_poolings_may_be_anywhere_in_the_list(channels) -> None:
    assert ConvNet((3, 8, 8), 10, channels, [])(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_a_tiny_width_leaves_one_channel() -> None:
    model = ConvNet((1, 8, 8), 10, [8, 8], [8], width=0.01)
    assert [p.shape[0] for p in model.parameters() if p.ndim > 1] == [1, 1, 1, 10]


def test_it_builds_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = ConvNet((1, 8, 8), 10, [16, 32], [20], kernel_size=4)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


REDUCED = [
    (
        (1, 8, 8),
        {"channels": [2, 2, 2, 2], "kernel_size": 5},
        "8 -> conv 5x5 stride 1 -> 8 -> pool 2 -> 4 -> conv 5x5 stride 1 -> 4 -> pool 2 -> 2"
        " -> conv 5x5 stride 1 -> 2 -> pool 2 -> 1 -> conv 5x5 stride 1 -> 1 -> pool 2 -> 0",
        16,
    ),
    (
        (1, 8, 4),
        {"channels": [2, "M", 2], "kernel_size": 3, "padding": 0, "stride": 2},
        "8x4 -> conv 3x3 stride 2 padding 0 -> 3x1 -> pool 2 -> 1x0",
        13,  # 1 <- conv 3 <- pool 6 <- conv 13
    ),
]


@pytest.mark.parametrize(("input_shape", "arguments", "arithmetic", "smallest"), REDUCED)
def test_an_image_reduced_to_nothing_is_refused_with_the_arithmetic(
    input_shape, arguments, arithmetic, smallest
) -> None:
    with pytest.raises(ShapeError) as caught:
        ConvNet(input_shape, 10, hidden=[], **arguments)
    assert f": {arithmetic}; type data.image_size={smallest} or more" in str(caught.value)
    assert "\n" not in str(caught.value)
    ConvNet((1, smallest, smallest), 10, hidden=[], **arguments)
    with pytest.raises(ShapeError):
        ConvNet((1, smallest - 1, smallest - 1), 10, hidden=[], **arguments)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding"])
def test_a_list_of_the_wrong_length_is_refused(name) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{name}=\[1\] has 1 values for the 2 conv"):
        ConvNet((1, 8, 8), 10, [16, "M", 32], [], **{name: [1]})


REFUSED = [
    ({"groups": 2}, r"groups=2: convolution 1 has 1 input .* type model\.groups=\[1,2\]$"),
    ({"groups": [1, 3]}, r"convolution 2 has 16 input .* 3 groups .* type model\.groups=\[1,1\]$"),
    (
        {"padding_mode": ["zeros", "reflect"], "kernel_size": 9},
        r"padding_mode=reflect: convolution 2 \(conv 9x9 stride 1\) pads an image of 4x4 by 4, .*"
        r"; type data\.image_size=10 or more, or model\.padding_mode=replicate$",
    ),
    ({"padding_mode": "circular", "kernel_size": [3, 11]}, "convolution 2 .* 4x4 by 5, .* at most"),
    (
        {"pool_padding": 2},
        r"pooling 1 \(pool 2 padding 2\) pads more .* type model\.pool_padding=1",
    ),
    (
        {"dilation": 9, "padding": 0},
        "to nothing by convolution 1: 8 -> conv 3x3 .* dilation 9 -> 0",
    ),
    (
        {"pool_size": [2, 9]},
        "to nothing by pooling 2: 8 -> .* -> pool 9 -> 0; type data.image_size=",
    ),
    (
        {"kernel_size": [3, 5]} | {"channels": [4, 4, 4]},
        r"\[3, 5\] has 2 values .* or \[\[3, 5\]\]",
    ),
    ({"pool_stride": [1, 2, 3]}, r"pool_stride=.* has 3 values for the 2 poolings"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_work_is_refused_with_the_layer_and_what_to_type(
    refuses, arguments, message
) -> None:
    with refuses(ConfigError, message):
        ConvNet((1, 8, 8), 10, **{"channels": [16, 32], "hidden": []} | arguments)


def test_the_suggested_groups_and_image_size_build() -> None:
    ConvNet((1, 8, 8), 10, [16, 32], [], groups=[1, 2])
    ConvNet((1, 10, 10), 10, [16, 32], [], padding_mode="reflect", kernel_size=9)


def test_alexnet_and_vgg_of_the_papers_are_torchvisions() -> None:
    pooled = {"dropout": 0.5, "hidden": [4096, 4096]}
    alexnet = pooled | {
        "channels": [64, "M", 192, "M", 384, 256, 256, "M"],
        "kernel_size": [11, 5, 3, 3, 3],
        "stride": [4, 1, 1, 1, 1],
        "padding": [2, 2, 1, 1, 1],
        "pool_size": 3,
        "pool_stride": 2,
        "adaptive_pool_size": 6,
    }
    vgg = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
    networks = {"alexnet": alexnet, "vgg11": pooled | {"channels": vgg, "adaptive_pool_size": 7}}
    with torch.device("meta"):
        for name, arguments in networks.items():
            own = ConvNet((3, 224, 224), 1000, **arguments).state_dict().values()
            theirs = models.get_model(name).state_dict().values()
            assert [tensor.shape for tensor in own] == [tensor.shape for tensor in theirs]


def test_one_pair_in_a_list_is_for_all_convolutions() -> None:
    model = ConvNet((1, 8, 8), 10, [2, 4], [], kernel_size=[[3, 5]], pool_size=[[2, 1]])
    assert [block[0].kernel_size for block in model.features] == [(3, 5)] * 2
    assert model.features(torch.zeros(1, 1, 8, 8)).shape == (1, 4, 2, 8)


def test_a_bias_before_a_batch_norm_is_there_if_it_is_asked_for() -> None:
    model = ConvNet((1, 8, 8), 10, [2, 4], [], batch_norm=True, bias=["auto", True])
    assert [block[0].bias is not None for block in model.features] == [False, True]
