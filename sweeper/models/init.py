"""Initial weights for a whole network from one function of `torch.nn.init`."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def initialise(model: nn.Module, fill: Callable[[Tensor], object]) -> None:
    """Fill the weights of convolutions and linear layers in place.

    Their biases and those of batch norms become 0, the weights of batch norms 1. Every other
    parameter keeps its values. `fill` works in place, as the functions of `torch.nn.init` do.
    """
    for module in model.modules():
        if isinstance(module, _ConvNd | nn.Linear):
            fill(module.weight)
            _set(module.bias, 0.0)
        elif isinstance(module, _BatchNorm):
            _set(module.weight, 1.0)
            _set(module.bias, 0.0)


def _set(parameter: Tensor | None, value: float) -> None:
    """Fill a parameter; do nothing for None, as in a layer without a bias."""
    if parameter is not None:
        nn.init.constant_(parameter, value)
