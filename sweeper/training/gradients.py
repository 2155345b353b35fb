"""The weights, biases and gradients of a network as arrays, for histograms."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from sweeper.training.state import RunState

Values = dict[str, NDArray[np.float32]]
"""Arrays by the name of the layer, each in the shape of the layer's weight or bias."""

Kind = Literal["weights", "biases"]


def parameters(model: nn.Module) -> dict[Kind, Values]:
    """Return the weights of two dimensions or more, and the biases, of each layer.

    The scales of norms are neither.
    """
    values: dict[Kind, Values] = {"weights": {}, "biases": {}}
    for kind, name, parameter in _named_parameters(model):
        values[kind][name] = as_array(parameter)
    return values


class LastGradients:
    """The gradients of an epoch's last optimizer step, as the optimizer applied them.

    They are copied just before the step, because they are deleted after it.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
        self.values: dict[Kind, Values] = {}
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
        for kind, name, parameter in _named_parameters(self._model):
            if parameter.grad is not None:
                gradient = parameter.grad if scale is None else parameter.grad / scale
                self.values.setdefault(kind, {})[name] = as_array(gradient)


def as_array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a float32 copy of the tensor on the CPU, in the same shape."""
    return np.array(tensor.detach().float().cpu().numpy())


def _named_parameters(model: nn.Module) -> Iterator[tuple[Kind, str, nn.Parameter]]:
    """Yield each weight and each bias with the name of its layer.

    A recurrent layer has several, such as `rnn.bias_hh_l0`, which keep their names.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            yield "weights", name.removesuffix(".weight"), parameter
        elif name.rpartition(".")[2].startswith("bias"):
            yield "biases", name.removesuffix(".bias"), parameter
