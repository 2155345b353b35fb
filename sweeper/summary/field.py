"""Receptive fields, and the rules by which convolutions and poolings change them.

The recurrences are those of Araujo et al., "Computing Receptive Fields of Convolutional Neural
Networks" (Distill, 2019). Let a field have size r, jump j and start b. A window of k pixels with
stride s and padding p changes it to size r + (k - 1) * j, jump j * s and start b - p * j.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Field:
    """The patch of the image that an output pixel depends on, as (height, width) in image pixels.

    `size` is the size of the patch, `jump` the distance between the patches of neighbouring
    output pixels, and `start` the first row and column of the patch of the first output pixel,
    which are negative in the padding.
    """

    size: Pair = (1, 1)
    jump: Pair = (1, 1)
    start: Pair = (0, 0)

    def through(self, window: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> "Field":
        """Return the field after a sliding window; `padding` is that above and to the left."""
        (r, r2), (j, j2), (b, b2) = self.size, self.jump, self.start
        return Field(
            size=(r + (window[0] - 1) * j, r2 + (window[1] - 1) * j2),
            jump=(j * stride[0], j2 * stride[1]),
            start=(b - padding[0] * j, b2 - padding[1] * j2),
        )

    @property
    def end(self) -> Pair:
        """The row and column one beyond the patch of the first output pixel."""
        return self.start[0] + self.size[0], self.start[1] + self.size[1]


def covering_field(fields: Sequence[Field | None]) -> Field | None:
    """Return the smallest field that covers all of these; None if one of them is None."""
    known = [field for field in fields if field is not None]
    if len(known) < len(fields):
        return None
    top, left = (min(field.start[axis] for field in known) for axis in (0, 1))
    bottom, right = (max(field.end[axis] for field in known) for axis in (0, 1))
    down, across = (max(field.jump[axis] for field in known) for axis in (0, 1))
    return Field((bottom - top, right - left), (down, across), (top, left))


# A rule has the signature of its torch function; arguments without an effect go to `_` and `__`.
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
    window = _dilated((weight.shape[2], weight.shape[3]), dilation)
    if padding == "same":  # torch adds an odd row below, and an odd column to the right
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
    window = _dilated(_pair(kernel_size), dilation)
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
    """Return the longest window and the longest distance between two; 1 for a single window."""
    out = out or size
    starts = [i * size // out for i in range(out)]
    ends = [-(-(i + 1) * size // out) for i in range(out)]
    longest = max(end - start for start, end in zip(starts, ends, strict=True))
    return longest, max((second - first for first, second in pairwise(starts)), default=1)


def _pad(field: Field, input: Tensor, pad: Sequence[int], *_: object, **__: object) -> Field:
    left, _right, top = (*pad, 0)[:3]  # torch lists the last axis first
    return field.through((1, 1), padding=(top, left))


def _dilated(window: Pair, dilation: int | Pair) -> Pair:
    """Return the height and the width that a dilated window spans."""
    down, across = _pair(dilation)
    return down * (window[0] - 1) + 1, across * (window[1] - 1) + 1


def _pair(value: Any) -> Any:
    """Return (height, width) of one number for both axes, or of a sequence of one or two."""
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
"""The rule of each torch function by name: it takes the field of the input, then the arguments."""
