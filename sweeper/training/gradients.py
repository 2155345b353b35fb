"""The weights and gradients of a network as arrays, for histograms."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from sweeper.training.state import RunState

Values = dict[str, NDArray[np.float32]]
"""Arrays by the name of the layer, each in the shape of the layer's weight."""


def weights(model: nn.Module) -> Values:
    """Return the weights of each layer with two dimensions or more.

    Biases and scales have too few values for a histogram.
    """
    return {name: as_array(weight) for name, weight in _named_weights(model)}


class LastGradients:
    """The gradients of an epoch's last optimizer step, as the optimizer applied them.

    They are copied just before the step, because they are deleted after it.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.values: Values = {}
        self._model = model
        self._state = state
        self._handle = optimizer.register_step_pre_hook(self._before_step)

    def remove(self) -> None:
        """Remove the hook from the optimizer."""
        self._handle.remove()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._state.batch < self._state.steps_per_epoch:
            return
        # A fused optimizer divides by the scale of half precision itself, inside the step.
        scale = getattr(optimizer, "grad_scale", None)
        for name, weight in _named_weights(self._model):
            if weight.grad is not None:
                gradient = weight.grad if scale is None else weight.grad / scale
                self.values[name] = as_array(gradient)


def as_array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a float32 copy of the tensor on the CPU, in the same shape."""
    return np.array(tensor.detach().float().cpu().numpy())


def _named_weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the name of each layer with its weight, if the weight has two dimensions or more."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            yield name.removesuffix(".weight"), parameter
