"""The weights and gradients of a network, for whoever wants to see how they are distributed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from sweeper.training.state import RunState

Values = dict[str, NDArray[np.float32]]


def weights(model: nn.Module) -> Values:
    """Return the kernels and matrices by layer; biases and scales are too few for a histogram."""
    return {name: as_array(weight) for name, weight in _named(model)}


class LastGradients:
    """Keeps the gradients of an epoch's last step, as the optimizer applied them.

    They are gone once the step is taken, so they are copied when it is about to be.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.values: Values = {}
        self._model = model
        self._state = state
        self._handle = optimizer.register_step_pre_hook(self._before_step)

    def remove(self) -> None:
        """Leave the optimizer as it was."""
        self._handle.remove()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._state.batch < self._state.steps_per_epoch:
            return
        scale = getattr(optimizer, "grad_scale", None)  # of half precision, which fused steps undo
        for name, weight in _named(self._model):
            if weight.grad is not None:
                gradient = weight.grad if scale is None else weight.grad / scale
                self.values[name] = as_array(gradient)


def as_array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a copy of the tensor's values."""
    return np.array(tensor.detach().float().cpu().numpy())


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            yield name.removesuffix(".weight"), parameter
