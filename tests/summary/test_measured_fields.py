"""Computed receptive fields, compared with those measured on random networks.

All weights are positive, and the image is zero except for one row of ones. An output is therefore
positive exactly if it depends on that row. Gradients would not do, because a max pooling passes
them to a single pixel of its window.
"""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.models.geometry import Conv
from sweeper.models.layers import convolution
from sweeper.summary.field import Field
from sweeper.summary.receptive_field import FieldTracker

MANY = settings(max_examples=150)
NUMBERS = st.integers(1, 4)
STEPS = st.integers(1, 2)
PAIRS_OF_STEPS = st.tuples(STEPS, STEPS)
KERNELS = st.tuples(NUMBERS, NUMBERS)


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Module:
    kernel, dilation, stride = draw(KERNELS), draw(PAIRS_OF_STEPS), draw(PAIRS_OF_STEPS)
    max_paddings = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, padding)) for padding in max_paddings)
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation)


@st.composite
def poolings(draw: st.DrawFn) -> nn.Module:
    kernel, stride, ceil = draw(KERNELS), draw(st.none() | PAIRS_OF_STEPS), draw(st.booleans())
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    if draw(st.booleans()):
        return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)
    return nn.MaxPool2d(kernel, stride, padding, draw(PAIRS_OF_STEPS), ceil_mode=ceil)


SAME_CONVOLUTIONS = st.builds(
    lambda size, stride, dilation: convolution(1, Conv(1, size, stride, "same", dilation)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    PAIRS_OF_STEPS,
    PAIRS_OF_STEPS,
)
CHAINS = st.builds(
    lambda layers: nn.Sequential(*layers),
    st.lists(convolutions() | poolings() | SAME_CONVOLUTIONS, min_size=1, max_size=3),
)


class Padded(nn.Module):
    """A convolution with uneven padding, whose output has the size ceil(size / stride)."""

    def __init__(self, kernel: int, before: int, stride: int) -> None:
        super().__init__()
        after = kernel - 1 - before
        self.pad = (before, after, before, after)
        self.conv = nn.Conv2d(1, 1, kernel, stride)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(F.pad(images, self.pad))


@st.composite
def branches(draw: st.DrawFn, stride: int) -> nn.Module:
    """Draw one to three convolutions; a kernel of 1 without a stride is a shortcut."""
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        kernel = draw(NUMBERS)
        layers.append(Padded(kernel, draw(st.integers(0, kernel - 1)), stride))
        stride = 1
    return nn.Sequential(*layers)


class Joined(nn.Module):
    """Branches whose outputs are added or concatenated."""

    def __init__(self, ways: list[nn.Module], add: bool) -> None:
        super().__init__()
        self.ways, self.add = nn.ModuleList(ways), add

    def forward(self, images: Tensor) -> Tensor:
        outputs = [way(images) for way in self.ways]
        return sum(outputs[1:], outputs[0]) if self.add else torch.cat(outputs, dim=1).sum(1, True)


@st.composite
def branched(draw: st.DrawFn) -> nn.Module:
    stride = draw(STEPS)
    ways = draw(st.lists(branches(stride), min_size=2, max_size=3))
    return nn.Sequential(
        draw(SAME_CONVOLUTIONS), Joined(ways, draw(st.booleans())), draw(convolutions())
    )


def positive(model: nn.Module) -> nn.Module:
    """Set all weights to 1 and all biases to 0; return the model."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, float(parameter.ndim > 1))
    return model


def tracked(model: nn.Module, height: int, width: int) -> Field:
    images = torch.zeros(1, 1, height, width)
    with FieldTracker(images) as tracker:
        field = tracker.field(model(images))
    assert field is not None
    return field


def measured_rows(model: nn.Module, height: int, width: int) -> tuple[list[list[int]], int]:
    """Return the rows that two outputs in the middle depend on, and the index of the first."""
    images = torch.eye(height).view(height, 1, height, 1).expand(-1, -1, -1, width)
    positive_outputs = model(images)[:, 0] > 0
    row, column = (size // 2 for size in positive_outputs.shape[1:])
    neighbours = positive_outputs[:, row, column], positive_outputs[:, row + 1, column]
    return [rows.nonzero().flatten().tolist() for rows in neighbours], row


class Transposed(nn.Module):
    """A network with rows and columns exchanged."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.transpose(2, 3)).transpose(2, 3)


def assert_computed_is_measured(model: nn.Module) -> None:
    field = tracked(positive(model), 64, 64)
    height, width = (
        3 * size + 4 * jump for size, jump in zip(field.size, field.jump, strict=True)
    )  # large enough to keep the patches away from the borders
    transposed = Transposed(model), width, height
    for axis, network in enumerate([(model, height, width), transposed]):
        (rows, next_rows), index = measured_rows(*network)
        assert 0 < rows[0] <= rows[-1] < network[1] - 1
        assert rows[-1] - rows[0] + 1 == field.size[axis]
        assert next_rows[0] - rows[0] == field.jump[axis]
        assert rows[0] == field.start[axis] + index * field.jump[axis]


@MANY
@given(model=CHAINS)
def test_the_computed_field_of_a_chain_is_the_measured_one(model) -> None:
    assert_computed_is_measured(model)


@MANY
@given(model=branched())
def test_the_computed_field_of_branches_is_the_measured_one(model) -> None:
    assert_computed_is_measured(model)


@MANY
@given(outputs=st.integers(5, 8), window=st.integers(1, 8), largest=st.booleans())
def test_an_adaptive_pooling_of_a_multiple_has_windows_side_by_side(
    outputs, window, largest
) -> None:
    pooling = (nn.AdaptiveMaxPool2d if largest else nn.AdaptiveAvgPool2d)(outputs)
    model, side = (
        positive(nn.Sequential(convolution(1, Conv(1, (3, 3))), pooling)),
        outputs * window,
    )
    field = tracked(model, side, side)
    rows, index = measured_rows(model, side, side)
    assert (field.size, field.jump) == ((window + 2,) * 2, (window,) * 2)
    assert [len(patch) for patch in rows] == [window + 2] * 2
    assert rows[0][0] == field.start[0] + index * window
