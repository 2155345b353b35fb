"""What several families share: activations by name, size-keeping convolutions, and their blocks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.errors import ConfigError
from sweeper.models.geometry import Conv

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"]
T = TypeVar("T")

# In place where autograd allows it without a copy: the pre-activation is never needed again.
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def make_activation(name: Activation) -> nn.Module:
    """A new activation layer; it may work in place."""
    return _ACTIVATIONS[name]()


class EvenSameConv2d(nn.Conv2d):
    """A convolution with an even kernel that keeps the image size.

    The odd row and column of padding go below and to the right, as in TensorFlow's "SAME".
    `nn.Conv2d(padding="same")` knows no stride and warns about even kernels, hence this class.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, bias: bool
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=bias)
        self._pad = ((kernel_size - 1) // 2, kernel_size // 2) * 2

    def forward(self, input: Tensor) -> Tensor:
        """Images (N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        return super().forward(F.pad(input, self._pad))


def same_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution whose output is ceil(size / stride), whatever the kernel."""
    if kernel_size % 2 == 0:
        return EvenSameConv2d(in_channels, out_channels, kernel_size, stride, bias)
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)


def conv_block(
    in_channels: int, step: Conv, batch_norm: bool, activation: Activation
) -> list[nn.Module]:
    """A convolution, a batch norm if asked for, and an activation."""
    # Batch norm subtracts the mean, so a bias before it would change nothing.
    bias = not batch_norm
    norm = [nn.BatchNorm2d(step.channels)] if batch_norm else []
    return [_conv(in_channels, step, bias), *norm, make_activation(activation)]


def _conv(in_channels: int, step: Conv, bias: bool) -> nn.Conv2d:
    if step.padding == "same":
        return same_conv(in_channels, step.channels, step.kernel_size, step.stride, bias)
    return nn.Conv2d(
        in_channels, step.channels, step.kernel_size, step.stride, step.padding, bias=bias
    )


def blocks(
    in_channels: int,
    steps: Sequence[Any],
    pool: Callable[[Any], nn.Module],
    batch_norm: bool,
    activation: Activation,
) -> nn.Sequential:
    """One nn.Sequential a convolution, with the poolings that follow it.

    `steps` are `Conv`, and whatever `pool` makes a pooling of.
    """
    made: list[list[nn.Module]] = []
    for step in steps:
        if isinstance(step, Conv):
            made.append(conv_block(in_channels, step, batch_norm, activation))
            in_channels = step.channels
        else:
            made = made or [[]]
            made[-1].append(pool(step))
    return nn.Sequential(*(nn.Sequential(*block) for block in made))


def one_each(name: str, value: T | list[T], count: int) -> list[T]:
    """The value for each of `count` convolutions; ConfigError for a list of another length."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ConfigError(
            f"model.{name}={value} has {len(value)} values for the {count} convolutions of "
            f"model.channels; type one number, or a list of {count}"
        )
    return value
