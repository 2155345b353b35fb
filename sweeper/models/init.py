"""Initial weights for a whole network, or for one type of its layers, from `torch.nn.init`."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd

LayerType = Literal["conv", "linear", "norm"]
Fill = Callable[[Tensor], object] | None
"""A function that works in place, as those of `torch.nn.init` do; None keeps torch's own values."""

LAYER_TYPES: dict[LayerType, tuple[type[nn.Module], ...]] = {
    "conv": (_ConvNd,),
    "linear": (nn.Linear,),
    "norm": (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
}


def initialise(
    model: nn.Module, fill: Fill, by_type: Mapping[LayerType, Fill] | None = None
) -> None:
    """Fill the weights of layers in place; the biases of these layers become 0.

    `fill` is for convolutions and linear layers. With it, the weights of batch norms become 1 and
    their biases 0. `by_type` has the functions for types of layers that are treated otherwise,
    among which a norm is any normalisation layer. Every other parameter keeps its values.
    """
    own = dict(by_type or {})
    for module in model.modules():
        kind = next((k for k, types in LAYER_TYPES.items() if isinstance(module, types)), None)
        if kind in own:
            _fill(module, own[kind])
        elif kind in ("conv", "linear"):
            _fill(module, fill)
        elif fill is not None and isinstance(module, _BatchNorm):
            _fill(module, nn.init.ones_)


def _fill(module: nn.Module, fill: Fill) -> None:
    weight, bias = module.weight, getattr(module, "bias", None)
    if fill is None or not isinstance(weight, Tensor):  # a norm may have no weight
        return
    fill(weight)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)
