"""Convolutions, then linear layers: LeNet, AlexNet, VGG and similar networks, as plain lists."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import gcd
from typing import Any, Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.models.geometry import (
    Conv,
    Layer,
    NonNegativeSides,
    Padding,
    PaddingMode,
    Pool,
    PositiveSides,
    output_size,
)
from sweeper.models.layers import Activation, conv_blocks, per_layer, pooling_layer, sides_of
from sweeper.models.mlp import MLP
from sweeper.schema import Probability

Pooling = Literal["max", "average"]


class ConvNet(nn.Module):
    """A chain of blocks (convolution, batch norm, activation, pooling) and a linear classifier.

    images: (N, C, H, W) float; returns logits: (N, num_classes) float.

    `channels` lists the output channels of each convolution, and "M" for each pooling, as the
    tables of the VGG paper do (Simonyan and Zisserman, 2015). A list without "M" pools after
    every convolution.

    The arguments from `kernel_size` to `padding_mode` are those of `nn.Conv2d`, and those from
    `pooling` to `pool_ceil_mode` those of `nn.MaxPool2d` and `nn.AvgPool2d`. Each is one value for
    all layers, or a list with one value for each. A value is a number, or [height, width]; [[3, 5]]
    is a pair for all layers. Padding "same" gives ceil(size / stride), for even kernels too.
    `bias="auto"` leaves out a bias before a batch norm, which would subtract it. A `pool_stride`
    of None is the size of the window. `pool_size=1` turns pooling off.

    `adaptive_pool_size` is the size to which an adaptive pooling brings the maps for the
    classifier; 1 is a global pooling, and None leaves the maps as they are. `width` multiplies the
    channels and the hidden sizes, which are at least 1. Dropout follows every hidden layer; without
    hidden layers it comes before the only linear layer.

    Raises:
        ConfigError: a list does not have one value for each layer, groups do not divide the
            channels, or a pooling has more padding than torch allows.
        ShapeError: a layer reduces the height or the width of the image to 0, or its padding mode
            needs a larger image.
    """

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        channels: list[PositiveInt | Literal["M"]],
        hidden: list[PositiveInt],
        kernel_size: PositiveSides | list[PositiveSides] = 3,
        stride: PositiveSides | list[PositiveSides] = 1,
        padding: Padding | list[Padding] = "same",
        dilation: PositiveSides | list[PositiveSides] = 1,
        groups: PositiveInt | list[PositiveInt] = 1,
        bias: bool | Literal["auto"] | list[bool | Literal["auto"]] = "auto",
        padding_mode: PaddingMode | list[PaddingMode] = "zeros",
        pooling: Pooling | list[Pooling] = "max",
        pool_size: PositiveSides | list[PositiveSides] = 2,
        pool_stride: PositiveSides | list[PositiveSides | None] | None = None,
        pool_padding: NonNegativeSides | list[NonNegativeSides] = 0,
        pool_ceil_mode: bool | list[bool] = False,
        adaptive_pooling: Pooling = "average",
        adaptive_pool_size: PositiveSides | None = None,
        batch_norm: bool = False,
        activation: Activation = "relu",
        dropout: Probability = 0.0,
        width: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        in_channels, height, image_width = input_shape
        channels = [c if c == "M" else _scaled(c, width) for c in channels]
        convolutions = _convolutions(
            in_channels,
            [c for c in channels if c != "M"],
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=_resolved_bias(bias, batch_norm),
            padding_mode=padding_mode,
        )
        pools = _pools(
            channels.count("M") or len(convolutions),
            pooling=pooling,
            pool_size=pool_size,
            pool_stride=pool_stride,
            pool_padding=pool_padding,
            pool_ceil_mode=pool_ceil_mode,
        )
        layers = list(_layers(channels, convolutions, pools))
        size = output_size(layers, height, image_width)
        self.features = conv_blocks(in_channels, layers, pooling_layer, batch_norm, activation)
        self.pool = None
        if adaptive_pool_size is not None:
            size = sides_of(adaptive_pool_size)
            self.pool = _ADAPTIVE[adaptive_pooling](size)
        shape = ([in_channels, *(conv.channels for conv in convolutions)][-1], *size)
        sizes = [_scaled(size, width) for size in hidden]
        self.classifier = MLP(shape, num_classes, sizes, dropout, activation=activation)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(images)
        logits: Tensor = self.classifier(maps if self.pool is None else self.pool(maps))
        return logits


_ADAPTIVE: dict[Pooling, type[nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d]] = {
    "average": nn.AdaptiveAvgPool2d,
    "max": nn.AdaptiveMaxPool2d,
}


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _resolved_bias(bias: Any, batch_norm: bool) -> Any:
    """Return `bias`, one value or a list, with true or false for "auto"."""
    if isinstance(bias, list):
        return [_resolved_bias(each, batch_norm) for each in bias]
    return not batch_norm if bias == "auto" else bias


def _convolutions(in_channels: int, channels: Sequence[int], **arguments: Any) -> list[Conv]:
    """Return a convolution for each number of output channels.

    arguments: those of `Conv` by name, each one value or a list with one for each convolution.
    """
    columns = {name: per_layer(name, value, len(channels)) for name, value in arguments.items()}
    for name in ("kernel_size", "stride", "padding", "dilation"):
        columns[name] = [sides_of(value) for value in columns[name]]
    _require_groups(arguments["groups"], columns["groups"], [in_channels, *channels])
    rows = zip(*columns.values(), strict=True)
    return [
        Conv(c, **dict(zip(columns, row, strict=True)))
        for c, row in zip(channels, rows, strict=True)
    ]


def _require_groups(typed: int | list[int], groups: Sequence[int], channels: list[int]) -> None:
    """Check that the groups of each convolution divide its input and its output channels.

    Raises:
        ConfigError: they do not; the message has the largest groups that do.
    """
    pairs = list(pairwise(channels))
    for number, (count, pair) in enumerate(zip(groups, pairs, strict=True), start=1):
        if any(c % count for c in pair):
            fitting = [gcd(g, *pair) for g, pair in zip(groups, pairs, strict=True)]
            raise ConfigError(
                f"model.groups={typed}: convolution {number} has {pair[0]} input and {pair[1]} "
                f"output channels, and {count} groups do not divide both; type "
                f"model.groups=[{','.join(map(str, fitting))}]"
            )


def _pools(count: int, **arguments: Any) -> list[Pool]:
    """Return `count` poolings; `arguments` are those of `ConvNet`.

    Raises:
        ConfigError: a list has another length, or the padding is more than half of the window.
    """
    columns = (per_layer(name, value, count, "pooling") for name, value in arguments.items())
    pools = []
    for number, row in enumerate(zip(*columns, strict=True), start=1):
        kind, size, stride, padding, ceil_mode = row
        stride = size if stride is None else stride
        pool = Pool(sides_of(size), sides_of(stride), sides_of(padding), ceil_mode, kind)
        if any(p > k // 2 for p, k in zip(pool.padding, pool.kernel_size, strict=True)):
            most = min(pool.kernel_size) // 2
            raise ConfigError(
                f"model.pool_padding={arguments['pool_padding']}: pooling {number} ({pool}) pads "
                f"more than half of its window; type model.pool_padding={most}, or a larger "
                "model.pool_size"
            )
        pools.append(pool)
    return pools


def _layers(
    channels: Sequence[int | Literal["M"]], convolutions: Sequence[Conv], pools: Sequence[Pool]
) -> Iterator[Layer]:
    """Yield the convolutions and poolings in the order of the list of channels.

    A pooling of single pixels does nothing, and is left out.
    """
    next_conv, next_pool = iter(convolutions), iter(pools)
    for c in channels:
        if c != "M":
            yield next(next_conv)
        if c == "M" or "M" not in channels:
            pool = next(next_pool)
            if (pool.kernel_size, pool.stride) != ((1, 1), (1, 1)):
                yield pool
