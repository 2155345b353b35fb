"""Convolutions, then a recurrent layer over the columns, to read strings in images."""

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from sweeper.models.geometry import Conv, Pool, output_size
from sweeper.models.layers import Activation, conv_blocks, per_layer, sides_of
from sweeper.schema import Probability

PoolLetter = Literal["M", "H"]

POOL_SIZES: dict[PoolLetter, tuple[int, int]] = {"M": (2, 2), "H": (2, 1)}
"""Height and width of the pooling window for each letter in the list of channels."""


class CRNN(nn.Module):
    """A chain of convolutions, a bidirectional LSTM over the columns, and a linear layer.

    images: (N, C, H, W) float; returns logits: (N, T, num_classes) float, one row for each time
    step from left to right. T is W, halved by every "M". Shi, Bai and Yao, "An End-to-End
    Trainable Neural Network for Image-based Sequence Recognition" (2015).

    `channels` lists the output channels of each convolution, "M" for a pooling that halves
    height and width, and "H" for one that halves the height only. The rows that remain are part
    of the features of a column. `kernel_size` is one value for all convolutions, or a list with
    one value for each. `recurrent` is the hidden size of the LSTM in each direction; 0 leaves
    the LSTM out. Dropout comes before the linear layer.

    Raises:
        ConfigError: a list does not have one value for each convolution.
        ShapeError: a layer reduces the height or the width of the image to 0.
    """

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        channels: list[PositiveInt | PoolLetter],
        kernel_size: PositiveInt | list[PositiveInt] = 3,
        batch_norm: bool = False,
        activation: Activation = "relu",
        recurrent: NonNegativeInt = 64,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        in_channels, height, width = input_shape
        layers = _layers(channels, kernel_size, bias=not batch_norm)
        n_features = _height_after(layers, height, width) * _last_channels(in_channels, layers)
        self.features = conv_blocks(in_channels, layers, _pool, batch_norm, activation)
        self.recurrent = _bidirectional(n_features, recurrent) if recurrent else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * recurrent or n_features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.features(images)  # (N, C', H', T)
        columns = maps.flatten(1, 2).transpose(1, 2)  # (N, T, C' * H')
        if self.recurrent is not None:
            columns, _ = self.recurrent(columns)
        logits: Tensor = self.classifier(self.dropout(columns))
        return logits


def _layers(
    channels: Sequence[int | PoolLetter], kernel_size: int | list[int], bias: bool
) -> list[Conv | PoolLetter]:
    n_convolutions = sum(not isinstance(c, str) for c in channels)
    sizes = map(sides_of, per_layer("kernel_size", kernel_size, n_convolutions))
    return [c if isinstance(c, str) else Conv(c, next(sizes), bias=bias) for c in channels]


def _height_after(layers: Sequence[Conv | PoolLetter], height: int, width: int) -> int:
    """Return the height after all layers.

    Raises:
        ShapeError: a layer reduces the height or the width to 0.
    """
    plain = [
        Pool(POOL_SIZES[layer], POOL_SIZES[layer]) if isinstance(layer, str) else layer
        for layer in layers
    ]
    return output_size(plain, height, width)[0]


def _last_channels(in_channels: int, layers: Sequence[Conv | PoolLetter]) -> int:
    return [in_channels, *(layer.channels for layer in layers if isinstance(layer, Conv))][-1]


def _pool(letter: PoolLetter) -> nn.Module:
    return nn.MaxPool2d(POOL_SIZES[letter])


def _bidirectional(n_features: int, hidden_size: int) -> nn.LSTM:
    return nn.LSTM(n_features, hidden_size, batch_first=True, bidirectional=True)
