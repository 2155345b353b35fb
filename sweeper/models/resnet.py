"""Residual networks of bottleneck blocks (He et al., 2015, "Deep Residual Learning")."""

from pydantic import PositiveInt
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.models.layers import Activation, make_activation, same_conv
from sweeper.schema import Probability

EXPANSION = 4  # a bottleneck's output channels for each of its inner channels


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, added to the shortcut.

    (N, in_channels, H, W) to (N, 4 * channels, ceil(H / stride), ceil(W / stride)). The stride
    is the 3x3 convolution's, so that no pixel is skipped unseen.
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

    Images (N, C, H, W) float to logits (N, num_classes). `blocks` and `channels` have one value
    a stage: how many bottlenecks, and their inner channels. Every stage but the first halves the
    image. Raises ConfigError when the two lists differ in length.
    """

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
                f"{len(channels)} values; type one of each a stage, at least one stage"
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
    in_channels = [channels[0], *(EXPANSION * c for c in channels)]
    return nn.Sequential(
        *(
            _stage(size, c, count, 1 if index == 0 else 2, activation)
            for index, (size, c, count) in enumerate(
                zip(in_channels, channels, blocks, strict=False)
            )
        )
    )


def _stage(
    in_channels: int, channels: int, count: int, stride: int, activation: Activation
) -> nn.Sequential:
    first = Bottleneck(in_channels, channels, stride, activation)
    rest = (Bottleneck(EXPANSION * channels, channels, 1, activation) for _ in range(count - 1))
    return nn.Sequential(first, *rest)
