"""Receptive fields, followed from tensor to tensor so that branches come out right.

The recurrences are those of Araujo et al., "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019): a window of k pixels, s apart, takes a field of size r and jump j to
size r + (k - 1) * j and jump j * s.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

Pair = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """What one output pixel sees of the image, in image pixels, each (height, width).

    `size` is the side of the patch it depends on, `jump` the distance between the patches of
    neighbours.
    """

    size: Pair = (1, 1)
    jump: Pair = (1, 1)

    def through(self, window: Pair, stride: Pair) -> "Field":
        """The field behind a window that slides over this one."""
        size = (self._grown(0, window), self._grown(1, window))
        return Field(size, (self.jump[0] * stride[0], self.jump[1] * stride[1]))

    def _grown(self, axis: int, window: Pair) -> int:
        return self.size[axis] + (window[axis] - 1) * self.jump[axis]


class FieldTracker(TorchFunctionMode):
    """While active, knows the field of every (N, C, H, W) tensor that comes from `images`.

    Convolutions and poolings widen the field; any other function has the widest of its inputs.
    Where pixels mix in other ways, in an attention or a flattened image, the field is lost, and
    with it that of all that follows.
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
            field = _widest([self._fields[t] for t in inputs])
            name = getattr(func, "__name__", "")
            if field and name in _RULES:
                field = _RULES[name](field, *args, **kwargs)
            for tensor in _tensors([output]):
                local = tensor.ndim >= 4 and name not in _MIXING
                self._fields[tensor] = field if local else None
        return output


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _widest(fields: Sequence[Field | None]) -> Field | None:
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    sizes, jumps = [f.size for f in known], [f.jump for f in known]
    return Field(
        (max(h for h, _ in sizes), max(w for _, w in sizes)),
        (max(h for h, _ in jumps), max(w for _, w in jumps)),
    )


# The rules have the signatures of the functions they follow; what does not matter goes to `_`.
def _conv(
    field: Field,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: object = 0,
    dilation: int | Pair = 1,
    *_: object,
    **__: object,
) -> Field:
    dilations = _pair(dilation)
    height, width = weight.shape[2:]
    window = (dilations[0] * (height - 1) + 1, dilations[1] * (width - 1) + 1)
    return field.through(window, _pair(stride))


def _pool(
    field: Field,
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    *_: object,
    **__: object,
) -> Field:
    return field.through(_pair(kernel_size), _pair(stride or kernel_size))


def _adaptive_pool(
    field: Field,
    input: Tensor,
    output_size: int | tuple[int | None, int | None],
    *_: object,
    **__: object,
) -> Field:
    sides = zip(input.shape[2:], _pair(output_size), strict=True)
    (height, down), (width, right) = (_adaptive_window(size, out) for size, out in sides)
    return field.through((height, width), (down, right))


def _adaptive_window(size: int, out: int | None) -> Pair:
    """The longest window and its stride; a single output has no neighbour, so no stride."""
    out = out or size
    return -(-size // out), 1 if out == 1 else size // out


def _pair(value: Any) -> Any:
    """A list or a pair stays; one number serves both axes."""
    sides = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(sides * 2 if len(sides) == 1 else sides)


_MIXING = {"matmul", "__matmul__", "bmm", "einsum", "scaled_dot_product_attention"}
_RULES: dict[str, Callable[..., Field]] = {
    "conv2d": _conv,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
}
