"""Receptive fields, followed from tensor to tensor so that branches come out right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from sweeper.summary.field import RULES, Field, joined


class FieldTracker(TorchFunctionMode):
    """While active, knows the field of every (N, C, H, W) tensor that comes from `images`.

    Convolutions and poolings widen the field; any other function sees all that its inputs see.
    Where pixels mix in other ways, in an attention, a flattened or an enlarged image, the field
    is lost, and with it that of all that follows.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._fields: Any = WeakTensorKeyDictionary({images: Field()})

    def field(self, tensor: Tensor) -> Field | None:
        return self._fields.get(tensor)  # type: ignore[no-any-return]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [t for t in _tensors([*args, *kwargs.values()]) if t in self._fields]
        output = func(*args, **kwargs)
        if inputs:
            field = joined([self._fields[t] for t in inputs])
            name = getattr(func, "__name__", "")
            if field and name in RULES:
                field = RULES[name](field, *args, **kwargs)
            for tensor in _tensors([output]):
                self._fields[tensor] = field if _is_local(name, inputs[0], tensor) else None
        return output


def _is_local(name: str, input: Tensor, output: Tensor) -> bool:
    """Whether pixels of the output are still those of one place in the image."""
    if output.ndim < 4 or name in _MIXING:
        return False
    return name not in _PICKING or output.shape[2:] == input.shape[2:]


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


_MIXING = {
    *("matmul", "__matmul__", "bmm", "einsum", "scaled_dot_product_attention"),
    *("conv_transpose2d", "interpolate", "pixel_shuffle", "pixel_unshuffle", "grid_sample"),
    *("lp_pool2d", "fractional_max_pool2d", "fractional_max_pool2d_with_indices"),
}
# Of channels or of images they leave the field as it is, of rows and columns they do not.
_PICKING = {"__getitem__", "amax", "max", "mean", "sum"}
