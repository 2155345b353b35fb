"""What convolutions and poolings leave of an image, worked out before anything is built."""

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
        """Rows added in all, above and below."""
        return self.kernel_size - 1 if self.padding == "same" else 2 * self.padding

    def size_after(self, size: int) -> int:
        return max(0, (size + self.total_padding - self.kernel_size) // self.stride + 1)

    def size_before(self, size: int) -> int:
        """The smallest input that leaves at least `size`."""
        return max(1, (size - 1) * self.stride + self.kernel_size - self.total_padding)

    def __str__(self) -> str:
        padding = "" if self.padding == "same" else f" padding {self.padding}"
        return f"conv {self.kernel_size}x{self.kernel_size} stride {self.stride}{padding}"


@dataclass(frozen=True)
class Pool:
    """A pooling over windows that do not overlap; an incomplete window is dropped."""

    kernel_size: int

    def size_after(self, size: int) -> int:
        return size // self.kernel_size

    def size_before(self, size: int) -> int:
        return size * self.kernel_size

    def __str__(self) -> str:
        return f"pool {self.kernel_size}"


Layer = Conv | Pool


def output_size(steps: Sequence[Layer], height: int, width: int) -> tuple[int, int]:
    """Height and width after all steps; raises ShapeError when nothing is left of either."""
    sizes = [(height, width)]
    for step in steps:
        sizes.append((step.size_after(sizes[-1][0]), step.size_after(sizes[-1][1])))
        if 0 in sizes[-1]:
            raise ShapeError(_nothing_left(steps, sizes))
    return sizes[-1]


def smallest_input(steps: Sequence[Layer]) -> int:
    """The smallest image side of which the steps leave at least one pixel."""
    size = 1
    for step in reversed(steps):
        size = step.size_before(size)
    return size


def _nothing_left(steps: Sequence[Layer], sizes: Sequence[tuple[int, int]]) -> str:
    """One line: the arithmetic as far as it goes, and what to change."""
    shrinking = any(isinstance(s, Conv) and (s.padding != "same" or s.stride > 1) for s in steps)
    return (
        f"model.channels: the image is reduced to nothing: {_arithmetic(steps, sizes)}; "
        f"type data.image_size={smallest_input(steps)} or more, or fewer poolings in "
        f"model.channels{', or a smaller model.kernel_size or model.stride' if shrinking else ''}"
    )


def _arithmetic(steps: Iterable[Layer], sizes: Sequence[tuple[int, int]]) -> str:
    texts = [f"{h}" if h == w else f"{h}x{w}" for h, w in sizes]
    moves = (f" -> {step} -> {text}" for step, text in zip(steps, texts[1:], strict=False))
    return texts[0] + "".join(moves)
