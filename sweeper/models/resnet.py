"""Residual networks (He et al., 2015, "Deep Residual Learning")."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import gcd
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from sweeper.errors import ConfigError, ShapeError
from sweeper.models.geometry import LARGEST_SIDE, Conv, Layer, Pool, Sides, output_size
from sweeper.models.layers import Activation, convolution, make_activation, pooling_layer
from sweeper.schema import Probability, UnitInterval

Block = Literal["basic", "bottleneck"]
Norm = Literal["batch", "group", "layer", "instance", "none"]
MakeNorm = Callable[[int], list[nn.Module]]
"""Returns the norm for a number of channels as a list, which is empty for no norm."""

EXPANSION: dict[Block, int] = {"basic": 1, "bottleneck": 4}
"""The output channels of a block for each inner channel."""


class ResidualBlock(nn.Module):
    """Convolutions with norms, whose output is added to the shortcut.

    images: (N, in_channels, H, W) float; returns maps:
    (N, EXPANSION * channels, ceil(H / stride), ceil(W / stride)) float.

    A basic block has two 3x3 convolutions, of which the first has the stride. A bottleneck has a
    1x1, a 3x3 and a 1x1 convolution, of which the 3x3 has the stride: a 1x1 convolution with a
    stride would ignore pixels. The shortcut is the input itself, or a 1x1 convolution if the
    shapes differ.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        activation: Activation,
        make_norm: MakeNorm,
        block: Block = "bottleneck",
    ) -> None:
        super().__init__()
        out_channels = EXPANSION[block] * channels
        if block == "basic":
            widths, kernels, strides = [channels, channels], [3, 3], [stride, 1]
        else:
            widths, kernels, strides = [channels, channels, out_channels], [1, 3, 1], [1, stride, 1]
        layers: list[nn.Module] = []
        pairs = pairwise([in_channels, *widths])
        for pair, kernel_size, step in zip(pairs, kernels, strides, strict=True):
            layers += [make_activation(activation)] if layers else []
            layers += _conv_norm(*pair, kernel_size, step, make_norm)
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or stride > 1:
            self.shortcut = nn.Sequential(
                *_conv_norm(in_channels, out_channels, 1, stride, make_norm)
            )
        self.activation = make_activation(activation)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.activation(self.residual(images) + self.shortcut(images))
        return output


class ResNet(nn.Module):
    """A stem, stages of residual blocks, the mean over the image, and one linear layer.

    images: (N, C, H, W) float; returns logits: (N, num_classes) float.

    `blocks` lists the number of blocks in each stage, `channels` their inner channels, and
    `strides` the stride of the first block of each stage; None halves the image in every stage but
    the first. A bottleneck returns four times its inner channels. The stem is a convolution with
    `stem_channels` (None: those of the first stage), and a max pooling if `stem_pool` is true.

    `norm` follows each convolution. `group` has `norm_groups` groups, `layer` is a group norm with
    one group, and `instance` normalises each channel of each image. `norm_momentum` is that of the
    running statistics of `batch`; None averages over all batches. With `none` the convolutions have
    a bias.

    Raises:
        ConfigError: the lists are empty or differ in length, or groups do not divide the channels.
        ShapeError: `instance` has maps of a single pixel, which it would make zero.
    """

    slow_channels_last: ClassVar[bool] = True
    """On a CPU its convolutions of size 1 are slower in this memory format."""

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        blocks: list[PositiveInt],
        channels: list[PositiveInt],
        block: Block = "bottleneck",
        strides: list[PositiveInt] | None = None,
        stem_channels: PositiveInt | None = None,
        stem_kernel_size: PositiveInt = 7,
        stem_stride: PositiveInt = 2,
        stem_pool: bool = True,
        stem_pool_size: Annotated[int, Field(ge=2)] = 3,
        stem_pool_stride: PositiveInt = 2,
        norm: Norm = "batch",
        norm_groups: PositiveInt = 32,
        norm_eps: PositiveFloat = 1e-5,
        norm_momentum: UnitInterval | None = 0.1,
        activation: Activation = "relu",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        strides = [1] + [2] * (len(blocks) - 1) if strides is None else strides
        _require_one_for_each_stage(blocks, channels, strides)

        def make_norm(n_channels: int) -> list[nn.Module]:
            return _norm(norm, n_channels, norm_groups, norm_eps, norm_momentum)

        stem = stem_channels or channels[0]
        out_channels = [EXPANSION[block] * c for c in channels]
        if norm == "group":
            _require_groups(norm_groups, [stem, *channels, *out_channels])
        pools = [_stem_pool(stem_pool_size, stem_pool_stride)] if stem_pool else []
        if norm == "instance":
            first, *others = (
                Conv(1, (1, 1), (stride, stride)) for stride in [stem_stride, *strides]
            )
            _require_more_than_a_pixel([first, *pools, *others], input_shape[1:])
        self.stem = nn.Sequential(
            *_conv_norm(input_shape[0], stem, stem_kernel_size, stem_stride, make_norm),
            make_activation(activation),
            *map(pooling_layer, pools),
        )
        stages = zip([stem, *out_channels[:-1]], channels, strides, blocks, strict=True)
        self.stages = nn.Sequential(
            *(nn.Sequential(*_stage(*stage, activation, make_norm, block)) for stage in stages)
        )
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Linear(out_channels[-1], num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(images)))
        return logits


def _require_one_for_each_stage(blocks: list[int], channels: list[int], strides: list[int]) -> None:
    if len(blocks) != len(channels) or not blocks:
        raise ConfigError(
            f"model.blocks={blocks} and model.channels={channels} have {len(blocks)} and "
            f"{len(channels)} values; type one of each for every stage, and at least one stage"
        )
    if len(strides) != len(blocks):
        raise ConfigError(
            f"model.strides={strides} has {len(strides)} values for the {len(blocks)} stages of "
            "model.blocks; type one for every stage, or model.strides=null"
        )


def _require_groups(groups: int, channels: list[int]) -> None:
    unfit = next((count for count in channels if count % groups), None)
    if unfit is not None:
        raise ConfigError(
            f"model.norm_groups={groups} does not divide the {unfit} channels of a convolution; "
            f"type model.norm_groups={gcd(groups, *channels)}, or model.norm=layer"
        )


def _require_more_than_a_pixel(layers: list[Layer], size: Sides) -> None:
    def fits(side: int) -> bool:
        return output_size(layers, side, side) != (1, 1)

    if output_size(layers, *size) == (1, 1):
        smallest = bisect_left(range(LARGEST_SIDE), True, lo=max(size), key=fits)
        raise ShapeError(
            "model.norm=instance: the maps of the last stage have a single pixel, and this norm "
            f"subtracts the mean over the pixels; type data.image_size={smallest} or more, or "
            "model.norm=layer"
        )


def _stem_pool(size: int, stride: int) -> Pool:
    return Pool((size, size), (stride, stride), ((size - 1) // 2,) * 2)


def _conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, make_norm: MakeNorm
) -> list[nn.Module]:
    norm = make_norm(out_channels)
    sides, strides = (kernel_size, kernel_size), (stride, stride)
    # Each norm subtracts a mean, so a bias before it would have little or no effect.
    return [convolution(in_channels, Conv(out_channels, sides, strides, bias=not norm)), *norm]


def _norm(
    kind: Norm, channels: int, groups: int, eps: float, momentum: float | None
) -> list[nn.Module]:
    norms: dict[Norm, Callable[[], nn.Module]] = {
        "batch": lambda: nn.BatchNorm2d(channels, eps, momentum),
        "group": lambda: nn.GroupNorm(groups, channels, eps),
        "layer": lambda: nn.GroupNorm(1, channels, eps),
        "instance": lambda: nn.InstanceNorm2d(channels, eps, affine=True),
    }
    return [norms[kind]()] if kind != "none" else []


def _stage(
    in_channels: int,
    channels: int,
    stride: int,
    n_blocks: int,
    activation: Activation,
    make_norm: MakeNorm,
    block: Block,
) -> Iterator[nn.Module]:
    """Yield the blocks of a stage; the first one has the stride."""
    for _ in range(n_blocks):
        yield ResidualBlock(in_channels, channels, stride, activation, make_norm, block)
        in_channels, stride = EXPANSION[block] * channels, 1
