"""Convolutions, then linear layers: LeNet, AlexNet, VGG and similar networks, as plain lists."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sweeper.models.geometry import Conv, Layer, Padding, Pool, output_size
from sweeper.models.layers import Activation, conv_blocks, per_convolution
from sweeper.models.mlp import MLP
from sweeper.schema import Probability

Pooling = Literal["max", "average"]


class ConvNet(nn.Module):
    """A chain of blocks (convolution, batch norm, activation, pooling) and a linear classifier.

    images: (N, C, H, W) float; returns logits: (N, num_classes) float.

    `channels` lists the output channels of each convolution, and "M" for each pooling, as the
    tables of the VGG paper do (Simonyan and Zisserman, 2015). A list without "M" pools after
    every convolution. `kernel_size`, `stride` and `padding` are one value for all convolutions,
    or a list with one value for each. Padding "same" gives ceil(size / stride), for even kernels
    too. `pool_size=1` turns pooling off. `width` multiplies the channels and the hidden sizes,
    which are at least 1. Dropout follows every hidden layer; without hidden layers it comes
    before the only linear layer.

    Raises:
        ConfigError: a list does not have one value for each convolution.
        ShapeError: a layer reduces the height or the width of the image to 0.
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
        layers = list(_layers(channels, kernel_size, stride, padding, pool_size))
        out_height, out_width = output_size(layers, height, image_width)
        self.features = conv_blocks(
            in_channels,
            layers,
            lambda pool: _pool(pooling, pool.kernel_size),
            batch_norm,
            activation,
        )
        conv_channels = [layer.channels for layer in layers if isinstance(layer, Conv)]
        shape = ([in_channels, *conv_channels][-1], out_height, out_width)
        sizes = [_scaled(size, width) for size in hidden]
        self.classifier = MLP(shape, num_classes, sizes, dropout, activation=activation)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _layers(
    channels: Sequence[int | Literal["M"]],
    kernel_size: int | list[int],
    stride: int | list[int],
    padding: Padding | list[Padding],
    pool_size: int,
) -> Iterator[Layer]:
    """Yield the convolutions and poolings that the list of channels stands for."""
    count = sum(c != "M" for c in channels)
    kernel_sizes = per_convolution("kernel_size", kernel_size, count)
    strides = per_convolution("stride", stride, count)
    paddings: list[Padding] = per_convolution("padding", padding, count)
    convolutions = zip(kernel_sizes, strides, paddings, strict=True)
    for c in channels:
        if c != "M":
            yield Conv(c, *next(convolutions))
        if pool_size > 1 and (c == "M" or "M" not in channels):
            yield Pool(pool_size)


def _pool(pooling: Pooling, size: int) -> nn.Module:
    return nn.MaxPool2d(size) if pooling == "max" else nn.AvgPool2d(size)
