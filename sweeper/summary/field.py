"""Receptive fields, and what convolutions and poolings make of them.

The recurrences are those of Araujo et al., "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019): windows of k pixels, s apart, behind p pixels of padding, take a field
of size r, jump j and start b to size r + (k - 1) * j, jump j * s and start b - p * j.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """What one output pixel sees of the image, in image pixels, each (height, width).

    `size` is the side of the patch it depends on, `jump` the distance between the patches of
    neighbours, and `start` where the patch of the first pixel begins: below 0 in the padding.
    """

    size: Pair = (1, 1)
    jump: Pair = (1, 1)
    start: Pair = (0, 0)

    def through(self, window: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> "Field":
        """The field behind a window that slides over this one; `padding` is above and left."""
        (r, r2), (j, j2), (b, b2) = self.size, self.jump, self.start
        return Field(
            size=(r + (window[0] - 1) * j, r2 + (window[1] - 1) * j2),
            jump=(j * stride[0], j2 * stride[1]),
            start=(b - padding[0] * j, b2 - padding[1] * j2),
        )

    @property
    def end(self) -> Pair:
        """One beyond the patch of the first pixel."""
        return self.start[0] + self.size[0], self.start[1] + self.size[1]


def joined(fields: Sequence[Field | None]) -> Field | None:
    """The field that covers all of these."""
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    top, left = (min(field.start[axis] for field in known) for axis in (0, 1))
    bottom, right = (max(field.end[axis] for field in known) for axis in (0, 1))
    down, across = (max(field.jump[axis] for field in known) for axis in (0, 1))
    return Field((bottom - top, right - left), (down, across), (top, left))


# The rules have the signatures of the functions they follow; what does not matter goes to `_`.
def _conv(
    field: Field,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | str | Pair = 0,
    dilation: int | Pair = 1,
    *_: object,
    **__: object,
) -> Field:
    window = _spread((weight.shape[2], weight.shape[3]), dilation)
    if padding == "same":  # the odd row goes below, the odd column to the right
        padding = ((window[0] - 1) // 2, (window[1] - 1) // 2)
    return field.through(window, _pair(stride), _pair(0 if padding == "valid" else padding))


def _max_pool(
    field: Field,
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    *_: object,
    **__: object,
) -> Field:
    window = _spread(_pair(kernel_size), dilation)
    return field.through(window, _pair(stride or kernel_size), _pair(padding))


def _average_pool(
    field: Field,
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    *_: object,
    **__: object,
) -> Field:
    return field.through(_pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


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
    """The longest window and the longest way to the next; a single output has no next, so 1."""
    out = out or size
    starts = [i * size // out for i in range(out)]
    ends = [-(-(i + 1) * size // out) for i in range(out)]
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    return longest, max((after - start for start, after in pairwise(starts)), default=1)


def _pad(field: Field, input: Tensor, pad: Sequence[int], *_: object, **__: object) -> Field:
    left, _right, top = (*pad, 0)[:3]  # torch begins with the last axis
    return field.through((1, 1), padding=(top, left))


def _spread(window: Pair, dilation: int | Pair) -> Pair:
    """How far a dilated window reaches."""
    down, across = _pair(dilation)
    return down * (window[0] - 1) + 1, across * (window[1] - 1) + 1


def _pair(value: Any) -> Any:
    """A list or a pair stays; one number serves both axes."""
    sides = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(sides * 2 if len(sides) == 1 else sides)


RULES: dict[str, Callable[..., Field]] = {
    "conv2d": _conv,
    "max_pool2d": _max_pool,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "pad": _pad,
}
"""How the functions of these names, called with a field before their arguments, change it."""
