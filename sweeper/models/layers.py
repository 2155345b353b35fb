"""The layers that several families share: activations by name, and size-keeping convolutions."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"]

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
