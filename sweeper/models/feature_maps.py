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


@dataclass(frozen=True)
class FeatureMaps:
    """What a layer makes of some images; both maps are (N, ...) of one shape.

    `before` is what the next activation received: the layer's output, behind normalisation where
    that lies between. Without an activation it is the output itself, and `after` is None.
    """

    before: Tensor
    after: Tensor | None = None
    activation: str = ""


@torch.inference_mode()
def feature_maps(model: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, FeatureMaps]:
    """Run the model in evaluation mode on images (N, C, H, W); return the maps of each layer.

    A layer that is not reached has none, and of one that is called twice the first call counts.
    """
    tap = _Tap()
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

    def __init__(self) -> None:
        super().__init__()
        self.maps: dict[str, FeatureMaps] = {}
        self._running: set[str] = set()

    def enter(self, name: str, layer: nn.Module, inputs: object) -> None:
        self._running.add(name)

    def leave(self, name: str, layer: nn.Module, inputs: object, output: object) -> None:
        self._running.discard(name)
        tensor = output[0] if isinstance(output, tuple) else output
        if isinstance(tensor, Tensor) and name not in self.maps:
            self.maps[name] = FeatureMaps(tensor.clone())

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        waiting = self._waiting(args[0].shape) if func in ACTIVATIONS else []
        before = args[0].clone() if waiting else None
        output = func(*args, **(kwargs or {}))
        for name in waiting:
            activation = func.__name__.strip("_")
            self.maps[name] = FeatureMaps(before, output.clone(), activation)  # type: ignore[arg-type]
        return output

    def _waiting(self, shape: torch.Size) -> list[str]:
        """The layers whose activation this is: at work now, or done with a map of this shape."""
        done = [
            name
            for name, maps in self.maps.items()
            if maps.after is None and maps.before.shape == shape
        ]
        return [name for name in self._running if name not in self.maps] + done
