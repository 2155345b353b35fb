"""Convolutions, then a recurrent layer over the columns: strings are read off an image."""

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from sweeper.models.geometry import Conv, Pool, output_size
from sweeper.models.layers import Activation, blocks, one_each
from sweeper.schema import Probability

Pooling = Literal["M", "H"]

POOL_SIZES: dict[Pooling, tuple[int, int]] = {"M": (2, 2), "H": (2, 1)}
"""Rows and columns that a letter in the list of channels makes one of."""


class CRNN(nn.Module):
    """A chain of convolutions, a bidirectional LSTM over the columns, a linear layer at each.

    Images (N, C, H, W) float to logits (N, T, num_classes): one row a time step from left to
    right, with T = W, halved by every "M". Shi, Bai and Yao, "An End-to-End Trainable Neural
    Network for Image-based Sequence Recognition" (2015).

    `channels` holds one number a convolution, "M" wherever height and width are halved, and "H"
    where the height alone is; what is left of the height goes into the features of a column.
    `kernel_size` is one value for all convolutions or a list with one each. `recurrent` is the
    size of the LSTM in each direction, 0 for none. Dropout comes before the linear layer.

    Raises ConfigError for a list of the wrong length, ShapeError when nothing is left of the
    image.
    """

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        channels: list[PositiveInt | Pooling],
        kernel_size: PositiveInt | list[PositiveInt] = 3,
        batch_norm: bool = False,
        activation: Activation = "relu",
        recurrent: NonNegativeInt = 64,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        in_channels, height, width = input_shape
        steps = _steps(channels, kernel_size)
        size = _rows_left(steps, height, width) * _last_channels(in_channels, steps)
        self.features = blocks(in_channels, steps, _pool, batch_norm, activation)
        self.recurrent = _bidirectional(size, recurrent) if recurrent else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * recurrent or size, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.features(images)  # (N, C', H', T)
        columns = maps.flatten(1, 2).transpose(1, 2)  # (N, T, C' * H')
        if self.recurrent is not None:
            columns, _ = self.recurrent(columns)
        logits: Tensor = self.classifier(self.dropout(columns))
        return logits


def _steps(channels: Sequence[int | Pooling], kernel_size: int | list[int]) -> list[Conv | Pooling]:
    count = sum(not isinstance(c, str) for c in channels)
    kernel_sizes = iter(one_each("kernel_size", kernel_size, count))
    return [c if isinstance(c, str) else Conv(c, next(kernel_sizes), 1, "same") for c in channels]


def _rows_left(steps: Sequence[Conv | Pooling], height: int, width: int) -> int:
    """The height after all steps; raises ShapeError when nothing is left of height or width."""
    down = [Pool(2) if isinstance(step, str) else step for step in steps]
    across = [Pool(2) if step == "M" else step for step in steps if step != "H"]
    output_size(across, width, width)
    return output_size(down, height, height)[0]


def _last_channels(in_channels: int, steps: Sequence[Conv | Pooling]) -> int:
    return [in_channels, *(step.channels for step in steps if isinstance(step, Conv))][-1]


def _pool(kind: Pooling) -> nn.Module:
    return nn.MaxPool2d(POOL_SIZES[kind])


def _bidirectional(features: int, size: int) -> nn.LSTM:
    return nn.LSTM(features, size, batch_first=True, bidirectional=True)
