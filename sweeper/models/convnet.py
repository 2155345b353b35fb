"""Convolutions, then linear layers: LeNet, AlexNet, VGG and what lies between, by plain lists."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sweeper.models.geometry import Conv, Layer, Padding, Pool, output_size
from sweeper.models.layers import Activation, blocks, one_each
from sweeper.models.mlp import MLP
from sweeper.schema import Probability

Pooling = Literal["max", "average"]


class ConvNet(nn.Module):
    """A chain of blocks (convolution, batch norm, activation, pooling) and a linear classifier.

    Images (N, C, H, W) float to logits (N, num_classes).

    `channels` holds one number a convolution, and "M" wherever the image is pooled, as the VGG
    paper's tables do (Simonyan and Zisserman, 2015); a list without any "M" pools after every
    convolution. `kernel_size`, `stride` and `padding` are one value for all convolutions or a
    list with one each. Padding "same" keeps the size for even kernels too, and gives
    ceil(size / stride) with a stride. `pool_size=1` pools nothing. `width` multiplies the
    channels and the hidden sizes, never below 1. Dropout follows every hidden layer, or comes
    before the only linear layer where there is none.

    Raises ConfigError for a list of the wrong length, ShapeError when nothing is left of the
    image.
    """

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        channels: list[PositiveInt | Literal["M"]],
        hidden: list[PositiveInt],
        kernel_size: PositiveInt | list[PositiveInt] = 3,
        stride: PositiveInt | list[PositiveInt] = 1,
        padding: Padding | list[Padding] = "same",
        pooling: Pooling = "max",
        pool_size: PositiveInt = 2,
        batch_norm: bool = False,
        activation: Activation = "relu",
        dropout: Probability = 0.0,
        width: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        in_channels, height, image_width = input_shape
        channels = [c if c == "M" else _scaled(c, width) for c in channels]
        steps = list(_steps(channels, kernel_size, stride, padding, pool_size))
        out_height, out_width = output_size(steps, height, image_width)
        self.features = blocks(
            in_channels,
            steps,
            lambda step: _pool(pooling, step.kernel_size),
            batch_norm,
            activation,
        )
        convolutions = [step.channels for step in steps if isinstance(step, Conv)]
        shape = ([in_channels, *convolutions][-1], out_height, out_width)
        sizes = [_scaled(size, width) for size in hidden]
        self.classifier = MLP(shape, num_classes, sizes, dropout, activation=activation)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _steps(
    channels: Sequence[int | Literal["M"]],
    kernel_size: int | list[int],
    stride: int | list[int],
    padding: Padding | list[Padding],
    pool_size: int,
) -> Iterator[Layer]:
    """The list of channels as a list of convolutions and poolings."""
    count = sum(c != "M" for c in channels)
    kernel_sizes = one_each("kernel_size", kernel_size, count)
    strides = one_each("stride", stride, count)
    paddings: list[Padding] = one_each("padding", padding, count)
    convolutions = zip(kernel_sizes, strides, paddings, strict=True)
    for c in channels:
        if c != "M":
            yield Conv(c, *next(convolutions))
        if pool_size > 1 and (c == "M" or "M" not in channels):
            yield Pool(pool_size)


def _pool(pooling: Pooling, size: int) -> nn.Module:
    return nn.MaxPool2d(size) if pooling == "max" else nn.AvgPool2d(size)
