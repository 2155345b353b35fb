"""Image sizes behind convolutions and poolings, computed before anything is built."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from sweeper.errors import ShapeError

Sides = tuple[int, int]
"""A value for the height and one for the width."""

PositiveSides = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
NonNegativeSides = (
    NonNegativeInt | Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)]
)
Padding = NonNegativeSides | Literal["same", "valid"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

LARGEST_SIDE = 2**20
"""The largest image side, in pixels, that an error message asks for."""


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis of an image."""

    size: int
    stride: int
    padding: Sides
    """The padding before and after the image."""
    dilation: int = 1
    ceil_mode: bool = False

    @property
    def span(self) -> int:
        """The number of pixels from the first to the last one of the window."""
        return self.dilation * (self.size - 1) + 1

    def size_after(self, size: int) -> int:
        """Return the output size for this input size; 0 if the window does not fit."""
        rest = size + sum(self.padding) - self.span
        if not self.ceil_mode:
            return max(0, rest // self.stride + 1)
        count = -(-rest // self.stride) + 1
        # A last window that would begin in the padding after the image is dropped, as in torch.
        is_outside = (count - 1) * self.stride >= size + self.padding[0]
        return max(0, count - 1 if is_outside else count)


@dataclass(frozen=True)
class Conv:
    """A convolution; padding "same" gives ceil(size / stride)."""

    channels: int
    kernel_size: Sides
    stride: Sides = (1, 1)
    padding: Sides | Literal["same"] = "same"
    dilation: Sides = (1, 1)
    groups: int = 1
    bias: bool = True
    padding_mode: PaddingMode = "zeros"

    @property
    def paddings(self) -> tuple[Sides, Sides]:
        """The padding above and below, and that to the left and to the right.

        With "same", an odd row and column go below and to the right.
        """
        if self.padding != "same":
            return (self.padding[0],) * 2, (self.padding[1],) * 2
        sides = zip(self.kernel_size, self.dilation, strict=True)
        (height, width) = (dilation * (size - 1) for size, dilation in sides)
        return (height // 2, height - height // 2), (width // 2, width - width // 2)

    @property
    def windows(self) -> tuple[Window, Window]:
        """The window along the height and the one along the width."""
        axes = zip(self.kernel_size, self.stride, self.paddings, self.dilation, strict=True)
        down, across = (Window(*axis) for axis in axes)
        return down, across

    def pads_too_much(self, size: Sides) -> bool:
        """Return whether an image of this height and width is too small for the padding mode."""
        largest = {"reflect": -1, "circular": 0}
        if self.padding_mode not in largest:
            return False
        limits = (side + largest[self.padding_mode] for side in size)
        return any(max(p) > limit for p, limit in zip(self.paddings, limits, strict=True))

    def __str__(self) -> str:
        parts = [f"conv {_by(self.kernel_size, square='{0}x{0}')} stride {_by(self.stride)}"]
        parts += [f"padding {_by(self.padding)}"] if self.padding != "same" else []
        parts += [f"dilation {_by(self.dilation)}"] if self.dilation != (1, 1) else []
        return " ".join(parts)


@dataclass(frozen=True)
class Pool:
    """A pooling; an incomplete window is dropped unless `ceil_mode` is true."""

    kernel_size: Sides
    stride: Sides
    padding: Sides = (0, 0)
    ceil_mode: bool = False
    kind: Literal["max", "average"] = "max"

    @property
    def windows(self) -> tuple[Window, Window]:
        """The window along the height and the one along the width."""
        axes = zip(self.kernel_size, self.stride, self.padding, strict=True)
        down, across = (Window(k, s, (p, p), ceil_mode=self.ceil_mode) for k, s, p in axes)
        return down, across

    def __str__(self) -> str:
        parts = [f"pool {_by(self.kernel_size)}"]
        parts += [f"stride {_by(self.stride)}"] if self.stride != self.kernel_size else []
        parts += [f"padding {_by(self.padding)}"] if self.padding != (0, 0) else []
        return " ".join(parts)


Layer = Conv | Pool


def output_size(layers: Sequence[Layer], height: int, width: int) -> Sides:
    """Return the height and the width of an image after all layers.

    Raises:
        ShapeError: a layer reduces the height or the width to 0, or its padding mode needs a
            larger image.
    """
    *_, last = _sizes(layers, (height, width))
    if 0 in last:
        raise ShapeError(_too_small(layers, (height, width)))
    for number, conv, size in _convolutions(layers, (height, width)):
        if conv.pads_too_much(size):
            raise ShapeError(_pads_too_much(layers, number, conv, size))
    return last


def smallest_input(layers: Sequence[Layer]) -> int | None:
    """Return the smallest side of a square image that the layers take; None if it is too large."""

    def fits(side: int) -> bool:
        *_, last = _sizes(layers, (side, side))
        return 0 not in last and not any(
            conv.pads_too_much(size) for _, conv, size in _convolutions(layers, (side, side))
        )

    smallest = bisect_left(range(1, LARGEST_SIDE + 1), True, key=fits) + 1
    return smallest if smallest <= LARGEST_SIDE else None


def _sizes(layers: Sequence[Layer], size: Sides) -> Iterator[Sides]:
    """Yield the size of the image before and after each layer, up to the first with a 0."""
    yield size
    for layer in layers:
        down, across = layer.windows
        size = (down.size_after(size[0]), across.size_after(size[1]))
        yield size
        if 0 in size:
            return


def _convolutions(layers: Sequence[Layer], size: Sides) -> Iterator[tuple[int, Conv, Sides]]:
    """Yield the number of each convolution, from 1, with the convolution and its input size."""
    number = 0
    for layer, before in zip(layers, _sizes(layers, size), strict=False):
        if isinstance(layer, Conv):
            number += 1
            yield number, layer, before


def _too_small(layers: Sequence[Layer], size: Sides) -> str:
    """Return the error message: the sizes up to the first 0, and what to change."""
    sizes = list(_sizes(layers, size))
    last = len(sizes) - 2
    kind = type(layers[last])
    number = sum(isinstance(layer, kind) for layer in layers[: last + 1])
    name = f"{'convolution' if kind is Conv else 'pooling'} {number}"
    convolutions = [layer for layer in layers if isinstance(layer, Conv)]
    changes = (
        [f"data.image_size={smallest} or more"] if (smallest := smallest_input(layers)) else []
    )
    if len(convolutions) < len(layers):
        changes.append("fewer or smaller poolings (model.channels, model.pool_size)")
    if any(conv.padding != "same" or max(conv.stride) > 1 for conv in convolutions):
        changes.append("a smaller model.kernel_size, model.dilation or model.stride")
    return (
        f"model.channels: the image is reduced to nothing by {name}: {_arithmetic(layers, sizes)}; "
        f"type {', or '.join(changes)}"
    )


def _pads_too_much(layers: Sequence[Layer], number: int, conv: Conv, size: Sides) -> str:
    most = {"reflect": "less than", "circular": "at most"}[conv.padding_mode]
    pixels = max(max(padding) for padding in conv.paddings)
    smallest = smallest_input(layers)
    larger = f"data.image_size={smallest} or more, or " if smallest else ""
    return (
        f"model.padding_mode={conv.padding_mode}: convolution {number} ({conv}) pads an image of "
        f"{_by(size, square='{0}x{0}')} by {pixels}, and this mode pads {most} the image's own "
        f"side; type {larger}model.padding_mode=replicate"
    )


def _arithmetic(layers: Sequence[Layer], sizes: Sequence[Sides]) -> str:
    """Return the sizes with the layers between them, such as `8 -> pool 2 -> 4`."""
    changes = (
        f" -> {layer} -> {_by(size)}" for layer, size in zip(layers, sizes[1:], strict=False)
    )
    return _by(sizes[0]) + "".join(changes)


def _by(sides: Sides, square: str = "{0}") -> str:
    """Return height x width, or one number (in the form `square`) if they are equal."""
    return square.format(sides[0]) if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"
