"""Feature maps of chosen layers, before and after the activation that follows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.summary.calls import Calls

ACTIVATIONS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.relu, F.relu6, F.leaky_relu, F.rrelu, F.prelu, F.elu, F.selu, F.celu),
        *(F.gelu, F.silu, F.mish, F.softplus, F.hardtanh, F.hardswish, F.hardsigmoid),
        *(F.hardshrink, F.softshrink, F.tanhshrink, F.softsign, F.logsigmoid),
        *(torch.relu, torch.relu_, torch.sigmoid, torch.tanh),
        *(Tensor.relu, Tensor.relu_, Tensor.sigmoid, Tensor.sigmoid_, Tensor.tanh, Tensor.tanh_),
    }
)
"""Functions rather than modules, because a `forward` may call an activation as a function."""

BETWEEN: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm),
        *(F.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout),
        *(torch.permute, Tensor.permute, Tensor.contiguous),
    }
)
"""Functions that may come between a layer and its activation. An activation after any other
function, such as another layer or an addition, does not belong to the layer."""

CHANNELS_FIRST = frozenset({torch.conv2d, torch.conv_transpose2d, F.batch_norm, F.group_norm})


@dataclass(frozen=True)
class FeatureMaps:
    """The output of a layer for N images, before and after its activation.

    Both are float of the same shape: (N, C, H, W), (N, T, D) or (N, K). `before` is the input of
    the activation: the output of the layer, normalised if a norm comes between. For a layer
    without an activation, `before` is its output and `after` is None.
    """

    before: Tensor
    after: Tensor | None = None
    activation: str = ""


@torch.inference_mode()
def feature_maps(model: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, FeatureMaps]:
    """Return the feature maps of the layers with these names; the model stays in eval mode.

    images: (N, C, H, W) float. A layer has no maps if it is not called, or if its output has
    another layout, such as (N, H, W, C). If a layer is called twice, the first call counts.
    """
    recorder = _MapRecorder(len(images))
    handles = []
    for name in names:
        layer = model.get_submodule(name)
        handles.append(layer.register_forward_pre_hook(partial(recorder.enter, name)))
        handles.append(layer.register_forward_hook(partial(recorder.leave, name)))
    try:
        with recorder:
            model.eval().forward(images)  # a compiled call would skip the hooks
    finally:
        for handle in handles:
            handle.remove()
    return {name: recorder.maps[name] for name in names if name in recorder.maps}


class _MapRecorder(Calls):
    """Copies of the maps, taken during the forward pass: activations in place overwrite them."""

    def __init__(self, n_images: int) -> None:
        super().__init__()
        self.maps: dict[str, FeatureMaps] = {}
        self._n_images = n_images
        self._running: set[str] = set()
        self._without_activation: dict[str, list[Tensor]] = {}
        """The output of each layer whose activation has not run, and its results of `BETWEEN`."""
        self._channels_last = False

    def enter(self, name: str, layer: nn.Module, inputs: object) -> None:
        if not list(layer.children()):  # an activation inside a block is not that of the block
            self._running.add(name)

    def leave(self, name: str, layer: nn.Module, inputs: object, output: object) -> None:
        self._running.discard(name)
        tensor = output[0] if isinstance(output, tuple) else output
        if isinstance(tensor, Tensor) and name not in self.maps and self._is_map(tensor):
            self.maps[name] = FeatureMaps(tensor.clone())
            self._without_activation[name] = [tensor]

    def call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        tensor: Any = args[0] if args else kwargs.get("input")
        activated = self._activated_layers(tensor) if func in ACTIVATIONS else []
        before = tensor.clone() if activated else None
        output = func(*args, **kwargs)
        for name in activated:
            activation = func.__name__.strip("_")
            self.maps[name] = FeatureMaps(before, output.clone(), activation)  # type: ignore[arg-type]
            self._without_activation.pop(name, None)
        self._follow(func, tensor, output)
        self._channels_last = _channels_last(func, args, output, self._channels_last)
        return output

    def _is_map(self, tensor: Tensor) -> bool:
        if tensor.ndim not in (2, 3, 4) or len(tensor) != self._n_images:
            return False
        return tensor.ndim != 4 or not self._channels_last

    def _activated_layers(self, tensor: Any) -> list[str]:
        """Return the layers to which an activation of this tensor belongs.

        These are the layers that are running, and those that returned the tensor.
        """
        if not self._is_map(tensor):
            return []
        returned = [
            name
            for name, tensors in self._without_activation.items()
            if _contains(tensors, tensor) and self.maps[name].before.shape == tensor.shape
        ]
        return [name for name in self._running if name not in self.maps] + returned

    def _follow(self, func: Callable[..., Any], tensor: object, output: Any) -> None:
        """Update the tensors that an activation may be applied to after a call on `tensor`."""
        for name, tensors in self._without_activation.items():
            if not _contains(tensors, tensor):
                continue
            if func in BETWEEN:
                tensors.append(output)
            elif output is tensor:  # overwritten, as by `x += skip`
                self._without_activation[name] = [t for t in tensors if t is not tensor]


def _contains(tensors: Sequence[Tensor], tensor: object) -> bool:
    """Return whether the very tensor is among these; `in` would compare values."""
    return any(t is tensor for t in tensors)


def _channels_last(
    func: Callable[..., Any], args: Sequence[Any], output: Any, before: bool
) -> bool:
    """Return whether maps are (N, H, W, C) after this call, as in ConvNeXt and Swin.

    `before` is the same for the time before the call.
    """
    if func in CHANNELS_FIRST:
        return False
    if func is F.linear or (func is F.layer_norm and len(args[1]) == 1):
        return before or output.ndim == 4
    if func in (torch.permute, Tensor.permute):
        dims = tuple(args[1]) if isinstance(args[1], Sequence) else tuple(args[1:])
        return {(0, 2, 3, 1): True, (0, 3, 1, 2): False}.get(dims, before)
    return before
