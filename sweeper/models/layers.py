"""Layers that several models share: activations by name, convolutions, and blocks of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.errors import ConfigError
from sweeper.models.geometry import Conv

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"]
T = TypeVar("T")

# In place where autograd allows it, to save memory: nothing reads the pre-activation again.
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def make_activation(name: Activation) -> nn.Module:
    """Return a new activation layer; it may work in place."""
    return _ACTIVATIONS[name]()


class EvenSameConv2d(nn.Conv2d):
    """A convolution with an even kernel whose output has the size ceil(size / stride).

    The odd row and column of padding go below and to the right, as in TensorFlow's "SAME".
    `nn.Conv2d(padding="same")` allows no stride and warns about even kernels, hence this class.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=bias)
        self._padding = ((kernel_size - 1) // 2, kernel_size // 2) * 2

    def forward(self, input: Tensor) -> Tensor:
        """Return maps (N, out_channels, ceil(H / stride), ceil(W / stride)) of (N, C, H, W)."""
        return super().forward(F.pad(input, self._padding))


def same_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Return a convolution with outputs of ceil(size / stride) for any kernel size."""
    if kernel_size % 2 == 0:
        return EvenSameConv2d(in_channels, out_channels, kernel_size, stride, bias)
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)


def conv_block(
    in_channels: int, conv: Conv, batch_norm: bool, activation: Activation
) -> list[nn.Module]:
    """Return a convolution, a batch norm if `batch_norm` is true, and an activation."""
    # Batch norm subtracts the mean, so a bias before it would have no effect.
    bias = not batch_norm
    norm = [nn.BatchNorm2d(conv.channels)] if batch_norm else []
    return [_convolution(in_channels, conv, bias), *norm, make_activation(activation)]


def _convolution(in_channels: int, conv: Conv, bias: bool) -> nn.Conv2d:
    if conv.padding == "same":
        return same_conv(in_channels, conv.channels, conv.kernel_size, conv.stride, bias)
    return nn.Conv2d(
        in_channels, conv.channels, conv.kernel_size, conv.stride, conv.padding, bias=bias
    )


def conv_blocks(
    in_channels: int,
    layers: Sequence[Any],
    make_pool: Callable[[Any], nn.Module],
    batch_norm: bool,
    activation: Activation,
) -> nn.Sequential:
    """Return one `nn.Sequential` for each convolution, with the poolings that follow it.

    Each of `layers` is a `Conv`, or a pooling in any form that `make_pool` turns into a module.
    """
    blocks: list[list[nn.Module]] = []
    for layer in layers:
        if isinstance(layer, Conv):
            blocks.append(conv_block(in_channels, layer, batch_norm, activation))
            in_channels = layer.channels
        else:
            blocks = blocks or [[]]
            blocks[-1].append(make_pool(layer))
    return nn.Sequential(*(nn.Sequential(*block) for block in blocks))


def per_convolution(name: str, value: T | list[T], n_convolutions: int) -> list[T]:
    """Return the value of the argument `name` for each convolution.

    Raises:
        ConfigError: a list has another length than the number of convolutions.
    """
    if not isinstance(value, list):
        return [value] * n_convolutions
    if len(value) != n_convolutions:
        raise ConfigError(
            f"model.{name}={value} has {len(value)} values for the {n_convolutions} convolutions "
            f"of model.channels; type one number, or a list of {n_convolutions}"
        )
    return value
