"""Residual networks of bottleneck blocks (He et al., 2015, "Deep Residual Learning")."""

from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.models.layers import Activation, make_activation, same_conv
from sweeper.schema import Probability

EXPANSION = 4  # output channels of a bottleneck for each inner channel


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, whose output is added to the shortcut.

    images: (N, in_channels, H, W) float; returns maps:
    (N, 4 * channels, ceil(H / stride), ceil(W / stride)) float. The 3x3 convolution has the
    stride: a 1x1 convolution with a stride would ignore pixels.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int, activation: Activation
    ) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.residual = nn.Sequential(
            *_conv_norm(in_channels, channels, 1),
            make_activation(activation),
            *_conv_norm(channels, channels, 3, stride),
            make_activation(activation),
            *_conv_norm(channels, out_channels, 1),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or stride > 1:
            self.shortcut = nn.Sequential(*_conv_norm(in_channels, out_channels, 1, stride))
        self.activation = make_activation(activation)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.activation(self.residual(images) + self.shortcut(images))
        return output


class ResNet(nn.Module):
    """A stem, stages of bottlenecks, the mean over the image, and one linear layer.

    images: (N, C, H, W) float; returns logits: (N, num_classes) float.

    `blocks` lists the number of bottlenecks in each stage, and `channels` their inner channels.
    Every stage but the first halves the image.

    Raises:
        ConfigError: the two lists are empty or differ in length.
    """

    slow_channels_last: ClassVar[bool] = True
    """On a CPU its convolutions of size 1 are slower in this memory format."""

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        blocks: list[PositiveInt],
        channels: list[PositiveInt],
        stem_kernel_size: PositiveInt = 7,
        stem_stride: PositiveInt = 2,
        stem_pool: bool = True,
        activation: Activation = "relu",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        if len(blocks) != len(channels) or not blocks:
            raise ConfigError(
                f"model.blocks={blocks} and model.channels={channels} have {len(blocks)} and "
                f"{len(channels)} values; type one of each for every stage, and at least one stage"
            )
        self.stem = nn.Sequential(
            *_conv_norm(input_shape[0], channels[0], stem_kernel_size, stem_stride),
            make_activation(activation),
            *([nn.MaxPool2d(3, stride=2, padding=1)] if stem_pool else []),
        )
        self.stages = _stages(blocks, channels, activation)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(EXPANSION * channels[-1], num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(images)))
        return logits


def _conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> list[nn.Module]:
    conv = same_conv(in_channels, out_channels, kernel_size, stride, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


def _stages(blocks: list[int], channels: list[int], activation: Activation) -> nn.Sequential:
    in_channels = [channels[0], *(EXPANSION * c for c in channels[:-1])]
    strides = [1] + [2] * (len(blocks) - 1)
    stages = zip(in_channels, channels, blocks, strides, strict=True)
    return nn.Sequential(*(_stage(*stage, activation) for stage in stages))


def _stage(
    in_channels: int, channels: int, n_blocks: int, stride: int, activation: Activation
) -> nn.Sequential:
    first = Bottleneck(in_channels, channels, stride, activation)
    rest = (Bottleneck(EXPANSION * channels, channels, 1, activation) for _ in range(n_blocks - 1))
    return nn.Sequential(first, *rest)
