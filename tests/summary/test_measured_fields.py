"""Receptive fields worked out, against those measured on random networks.

All weights are positive and the image is black but for one bright row, so that an output lights
up exactly if it depends on that row. Gradients would tell the same, but not through a max
pooling, which passes them to a single pixel of its window.
"""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from sweeper.models.layers import same_conv
from sweeper.summary.field import Field
from sweeper.summary.receptive_field import FieldTracker

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=150)
NUMBERS = st.integers(1, 4)
STEPS = st.integers(1, 2)
PAIRS_OF_STEPS = st.tuples(STEPS, STEPS)
KERNELS = st.tuples(NUMBERS, NUMBERS)


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Module:
    kernel, dilation, stride = draw(KERNELS), draw(PAIRS_OF_STEPS), draw(PAIRS_OF_STEPS)
    reaches = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, reach)) for reach in reaches)
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation)


@st.composite
def poolings(draw: st.DrawFn) -> nn.Module:
    kernel, stride, ceil = draw(KERNELS), draw(st.none() | PAIRS_OF_STEPS), draw(st.booleans())
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    if draw(st.booleans()):
        return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)
    return nn.MaxPool2d(kernel, stride, padding, draw(PAIRS_OF_STEPS), ceil_mode=ceil)


OWN = st.builds(same_conv, st.just(1), st.just(1), st.integers(1, 5), STEPS)
CHAINS = st.builds(
    lambda layers: nn.Sequential(*layers),
    st.lists(convolutions() | poolings() | OWN, min_size=1, max_size=3),
)


class Padded(nn.Module):
    """A convolution that keeps the size, padded unevenly if need be, then a stride."""

    def __init__(self, kernel: int, before: int, stride: int) -> None:
        super().__init__()
        after = kernel - 1 - before
        self.pad = (before, after, before, after)
        self.conv = nn.Conv2d(1, 1, kernel, stride)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(F.pad(images, self.pad))


@st.composite
def branches(draw: st.DrawFn, stride: int) -> nn.Module:
    """One to three convolutions; with a kernel of 1 and no stride that is a shortcut."""
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        kernel = draw(NUMBERS)
        layers.append(Padded(kernel, draw(st.integers(0, kernel - 1)), stride))
        stride = 1
    return nn.Sequential(*layers)


class Joined(nn.Module):
    """Branches that are added up or laid side by side."""

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
    return nn.Sequential(draw(OWN), Joined(ways, draw(st.booleans())), draw(convolutions()))


def bright(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        nn.init.constant_(parameter, float(parameter.ndim > 1))  # no biases
    return model


def tracked(model: nn.Module, height: int, width: int) -> Field:
    images = torch.zeros(1, 1, height, width)
    with FieldTracker(images) as tracker:
        field = tracker.field(model(images))
    assert field is not None
    return field


def seen_rows(model: nn.Module, height: int, width: int) -> tuple[list[list[int]], int]:
    """The rows that two neighbours in the middle see, and the place of the upper one."""
    one_row_each = torch.eye(height).view(height, 1, height, 1).expand(-1, -1, -1, width)
    lit = model(one_row_each)[:, 0] > 0
    down, across = (size // 2 for size in lit.shape[1:])
    return [lit[:, at, across].nonzero().flatten().tolist() for at in (down, down + 1)], down


class OnItsSide(nn.Module):
    """The network with rows and columns exchanged."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.transpose(2, 3)).transpose(2, 3)


def agree(model: nn.Module) -> None:
    field = tracked(bright(model), 64, 64)
    height, width = (
        3 * size + 4 * jump for size, jump in zip(field.size, field.jump, strict=True)
    )  # far enough from the borders
    turned = OnItsSide(model), width, height
    for axis, network in enumerate([(model, height, width), turned]):
        (rows, next_rows), place = seen_rows(*network)
        assert 0 < rows[0] <= rows[-1] < network[1] - 1
        assert rows[-1] - rows[0] + 1 == field.size[axis]
        assert next_rows[0] - rows[0] == field.jump[axis]
        assert rows[0] == field.start[axis] + place * field.jump[axis]


@REPEATABLE
@given(model=CHAINS)
def test_a_chain_sees_what_it_is_said_to_see(model) -> None:
    agree(model)


@REPEATABLE
@given(model=branched())
def test_branches_see_what_they_see_together(model) -> None:
    agree(model)


@REPEATABLE
@given(outputs=st.integers(5, 8), window=st.integers(1, 8), largest=st.booleans())
def test_an_adaptive_pooling_that_comes_out_even_has_windows_side_by_side(
    outputs, window, largest
) -> None:
    pooling = (nn.AdaptiveMaxPool2d if largest else nn.AdaptiveAvgPool2d)(outputs)
    model, side = bright(nn.Sequential(same_conv(1, 1, 3), pooling)), outputs * window
    field = tracked(model, side, side)
    rows, place = seen_rows(model, side, side)
    assert (field.size, field.jump) == ((window + 2,) * 2, (window,) * 2)
    assert [len(seen) for seen in rows] == [window + 2] * 2
    assert rows[0][0] == field.start[0] + place * window
