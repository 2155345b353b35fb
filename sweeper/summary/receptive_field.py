"""Receptive fields, tracked from tensor to tensor so that networks may have branches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sweeper.summary.calls import Calls, tensors_in
from sweeper.summary.field import RULES, Field, covering_field


class FieldTracker(Calls):
    """A context in which the receptive field of every tensor computed from `images` is known.

    images: (N, C, H, W). Convolutions and poolings change the field by their rule. The output of
    any other function has the field that covers the fields of its inputs. Functions that mix
    pixels in another way, such as attention, flattening or enlarging, have outputs without a
    field, and so do all functions of these outputs.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._fields: Any = WeakTensorKeyDictionary({images: Field()})

    def field(self, tensor: Tensor) -> Field | None:
        """Return the receptive field of the pixels of a tensor; None if it has no field."""
        return self._fields.get(tensor)  # type: ignore[no-any-return]

    def call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        inputs = [t for t in tensors_in([*args, *kwargs.values()]) if t in self._fields]
        output = func(*args, **kwargs)
        if inputs:
            field = covering_field([self._fields[t] for t in inputs])
            name = getattr(func, "__name__", "")
            if field and name in RULES:
                field = RULES[name](field, *args, **kwargs)
            for tensor in tensors_in([output]):
                self._fields[tensor] = field if _keeps_field(name, inputs[0], tensor) else None
        return output


def _keeps_field(name: str, input: Tensor, output: Tensor) -> bool:
    """Return whether each output pixel still depends on one patch of the image."""
    if output.ndim < 4 or name in _MIXING:
        return False
    return name not in _SELECTING or output.shape[2:] == input.shape[2:]


_MIXING = {
    *("matmul", "__matmul__", "bmm", "einsum", "scaled_dot_product_attention"),
    *("conv_transpose2d", "interpolate", "pixel_shuffle", "pixel_unshuffle", "grid_sample"),
    *("lp_pool2d", "fractional_max_pool2d", "fractional_max_pool2d_with_indices"),
}
# These keep the field if they select or reduce images or channels, but not rows or columns.
_SELECTING = {"__getitem__", "amax", "max", "mean", "sum"}
