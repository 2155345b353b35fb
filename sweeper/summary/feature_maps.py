"""Feature maps of chosen layers, as the activation that follows found and left them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

ACTIVATIONS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.relu, F.relu6, F.leaky_relu, F.rrelu, F.prelu, F.elu, F.selu, F.celu),
        *(F.gelu, F.silu, F.mish, F.softplus, F.hardtanh, F.hardswish, F.hardsigmoid),
        *(torch.relu, torch.relu_, torch.sigmoid, torch.tanh),
        *(Tensor.relu, Tensor.relu_, Tensor.sigmoid, Tensor.sigmoid_, Tensor.tanh, Tensor.tanh_),
    }
)
"""Caught as functions, so that modules and what a `forward` calls by itself are both seen."""

BETWEEN: frozenset[Callable[..., Any]] = frozenset(
    {
        *(F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm),
        *(F.dropout, F.dropout1d, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout),
        *(torch.permute, Tensor.permute, Tensor.contiguous),
    }
)
"""What may lie between a layer and its activation. Behind anything else, such as another layer or
an addition, an activation is not this layer's."""

CHANNELS_FIRST = frozenset({torch.conv2d, torch.conv_transpose2d, F.batch_norm, F.group_norm})


@dataclass(frozen=True)
class FeatureMaps:
    """What a layer makes of some images; both maps are of one shape.

    They are (N, C, H, W), (N, T, D) or (N, K). `before` is what the layer's activation received:
    the layer's output, behind normalisation where that lies between. Without an activation it is
    the output itself, and `after` is None.
    """

    before: Tensor
    after: Tensor | None = None
    activation: str = ""


@torch.inference_mode()
def feature_maps(model: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, FeatureMaps]:
    """Run the model in evaluation mode on images (N, C, H, W); return the maps of each layer.

    A layer has none that is not reached, or whose output is of another layout, as (N, H, W, C)
    is. Of a layer that is called twice the first call counts.
    """
    tap = _Tap(len(images))
    handles = []
    for name in names:
        layer = model.get_submodule(name)
        handles.append(layer.register_forward_pre_hook(partial(tap.enter, name)))
        handles.append(layer.register_forward_hook(partial(tap.leave, name)))
    try:
        with tap:
            model.eval().forward(images)  # not the compiled call, which knows nothing of hooks
    finally:
        for handle in handles:
            handle.remove()
    return {name: tap.maps[name] for name in names if name in tap.maps}


class _Tap(TorchFunctionMode):
    """Copies maps as they pass; activations that work in place leave nothing to look at later."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.maps: dict[str, FeatureMaps] = {}
        self._images = images
        self._running: set[str] = set()
        self._passed_on: dict[str, list[Tensor]] = {}
        """The output of each layer that waits for its activation, and what `BETWEEN` made of it."""
        self._channels_last = False

    def enter(self, name: str, layer: nn.Module, inputs: object) -> None:
        if not list(layer.children()):  # an activation within a whole block is not the block's
            self._running.add(name)

    def leave(self, name: str, layer: nn.Module, inputs: object, output: object) -> None:
        self._running.discard(name)
        tensor = output[0] if isinstance(output, tuple) else output
        if isinstance(tensor, Tensor) and name not in self.maps and self._is_map(tensor):
            self.maps[name] = FeatureMaps(tensor.clone())
            self._passed_on[name] = [tensor]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        tensor: Any = args[0] if args else given.get("input")
        waiting = self._waiting(tensor) if func in ACTIVATIONS else []
        before = tensor.clone() if waiting else None
        output = func(*args, **given)
        for name in waiting:
            activation = func.__name__.strip("_")
            self.maps[name] = FeatureMaps(before, output.clone(), activation)  # type: ignore[arg-type]
            self._passed_on.pop(name, None)
        self._follow(func, tensor, output)
        self._channels_last = _channels_last(func, args, output, self._channels_last)
        return output

    def _is_map(self, tensor: Tensor) -> bool:
        if tensor.ndim not in (2, 3, 4) or len(tensor) != self._images:
            return False
        return tensor.ndim != 4 or not self._channels_last

    def _waiting(self, tensor: Any) -> list[str]:
        """The layers whose activation runs on this: at work now, or done with their output."""
        if not self._is_map(tensor):
            return []
        done = [
            name
            for name, tensors in self._passed_on.items()
            if _among(tensor, tensors) and self.maps[name].before.shape == tensor.shape
        ]
        return [name for name in self._running if name not in self.maps] + done

    def _follow(self, func: Callable[..., Any], tensor: object, output: Any) -> None:
        for name, tensors in self._passed_on.items():
            if not _among(tensor, tensors):
                continue
            if func in BETWEEN:
                tensors.append(output)
            elif output is tensor:  # overwritten, as by `x += skip`
                self._passed_on[name] = [one for one in tensors if one is not tensor]


def _among(tensor: object, tensors: Sequence[Tensor]) -> bool:
    return any(one is tensor for one in tensors)


def _channels_last(
    func: Callable[..., Any], args: Sequence[Any], output: Any, before: bool
) -> bool:
    """Return whether images run as (N, H, W, C) after this call, as in ConvNeXt and Swin."""
    if func in CHANNELS_FIRST:
        return False
    if func is F.linear or (func is F.layer_norm and len(args[1]) == 1):
        return before or output.ndim == 4
    if func in (torch.permute, Tensor.permute):
        dims = tuple(args[1]) if isinstance(args[1], Sequence) else tuple(args[1:])
        return {(0, 2, 3, 1): True, (0, 3, 1, 2): False}.get(dims, before)
    return before
