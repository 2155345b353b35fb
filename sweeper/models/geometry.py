"""Image sizes behind convolutions and poolings, computed before anything is built."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeInt

from sweeper.errors import ShapeError

Padding = NonNegativeInt | Literal["same"]


@dataclass(frozen=True)
class Conv:
    """A square convolution; padding "same" gives ceil(size / stride)."""

    channels: int
    kernel_size: int
    stride: int
    padding: Padding

    @property
    def total_padding(self) -> int:
        """The number of padded rows, above and below together."""
        return self.kernel_size - 1 if self.padding == "same" else 2 * self.padding

    def size_after(self, size: int) -> int:
        """Return the output size for this input size; 0 if the kernel does not fit."""
        return max(0, (size + self.total_padding - self.kernel_size) // self.stride + 1)

    def size_before(self, size: int) -> int:
        """Return the smallest input size whose output has at least this size."""
        return max(1, (size - 1) * self.stride + self.kernel_size - self.total_padding)

    def __str__(self) -> str:
        padding = "" if self.padding == "same" else f" padding {self.padding}"
        return f"conv {self.kernel_size}x{self.kernel_size} stride {self.stride}{padding}"


@dataclass(frozen=True)
class Pool:
    """A pooling over windows that do not overlap; an incomplete window is dropped."""

    kernel_size: int

    def size_after(self, size: int) -> int:
        """Return the output size for this input size."""
        return size // self.kernel_size

    def size_before(self, size: int) -> int:
        """Return the smallest input size whose output has this size."""
        return size * self.kernel_size

    def __str__(self) -> str:
        return f"pool {self.kernel_size}"


Layer = Conv | Pool


def output_size(layers: Sequence[Layer], height: int, width: int) -> tuple[int, int]:
    """Return the height and the width of an image after all layers.

    Raises:
        ShapeError: a layer reduces the height or the width to 0.
    """
    sizes = [(height, width)]
    for layer in layers:
        sizes.append((layer.size_after(sizes[-1][0]), layer.size_after(sizes[-1][1])))
        if 0 in sizes[-1]:
            raise ShapeError(_too_small(layers, sizes))
    return sizes[-1]


def smallest_input(layers: Sequence[Layer]) -> int:
    """Return the smallest image side that leaves at least one pixel after all layers."""
    size = 1
    for layer in reversed(layers):
        size = layer.size_before(size)
    return size


def _too_small(layers: Sequence[Layer], sizes: Sequence[tuple[int, int]]) -> str:
    """Return the error message: the sizes up to the first 0, and what to change."""
    shrinking = any(isinstance(x, Conv) and (x.padding != "same" or x.stride > 1) for x in layers)
    return (
        f"model.channels: the image is reduced to nothing: {_arithmetic(layers, sizes)}; "
        f"type data.image_size={smallest_input(layers)} or more, or fewer poolings in "
        f"model.channels{', or a smaller model.kernel_size or model.stride' if shrinking else ''}"
    )


def _arithmetic(layers: Iterable[Layer], sizes: Sequence[tuple[int, int]]) -> str:
    """Return the sizes with the layers between them, such as `8 -> pool 2 -> 4`."""
    texts = [f"{h}" if h == w else f"{h}x{w}" for h, w in sizes]
    changes = (f" -> {layer} -> {text}" for layer, text in zip(layers, texts[1:], strict=False))
    return texts[0] + "".join(changes)
