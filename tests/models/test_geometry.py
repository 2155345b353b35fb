"""Computed sizes of chains of convolutions and poolings, compared with torch's own layers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sweeper.errors import ShapeError
from sweeper.models.geometry import Conv, Layer, Pool, output_size, smallest_input
from sweeper.models.layers import convolution, pooling_layer

MANY = settings(max_examples=200)


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


CONVOLUTIONS = st.builds(
    Conv,
    channels=st.just(1),
    kernel_size=pairs(1, 6),
    stride=pairs(1, 4),
    padding=pairs(0, 4) | st.just("same"),
    dilation=pairs(1, 3),
    padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)


@st.composite
def poolings(draw: st.DrawFn) -> Pool:
    size = draw(pairs(1, 4))
    padding = tuple(draw(st.integers(0, side // 2)) for side in size)
    kind = draw(st.sampled_from(["max", "average"]))
    return Pool(size, draw(pairs(1, 4)), padding, draw(st.booleans()), kind)


LAYERS = st.lists(CONVOLUTIONS | poolings(), max_size=5)


def module(layer: Layer) -> nn.Module:
    return pooling_layer(layer) if isinstance(layer, Pool) else convolution(1, layer)


@MANY
@given(layers=LAYERS, height=st.integers(1, 60), width=st.integers(1, 60))
def test_the_output_size_is_torchs_and_an_image_that_torch_refuses_is_refused(
    layers, height, width
) -> None:
    network = nn.Sequential(*map(module, layers))
    try:
        shape = network(torch.zeros(1, 1, height, width)).shape
    except (RuntimeError, AssertionError):
        with pytest.raises(ShapeError):
            output_size(layers, height, width)
    else:
        assert output_size(layers, height, width) == tuple(shape[2:])


@MANY
@given(layers=LAYERS)
def test_the_smallest_input_is_accepted_and_one_pixel_less_is_refused(layers) -> None:
    smallest = smallest_input(layers)
    assert min(output_size(layers, smallest, smallest)) >= 1
    if smallest > 1:
        with pytest.raises(ShapeError):
            output_size(layers, smallest - 1, smallest - 1)


def test_an_image_that_would_have_to_be_enormous_has_no_smallest_side() -> None:
    assert smallest_input([Conv(1, (2**21, 1), padding=(0, 0))]) is None


@MANY
@given(size=st.integers(1, 40), conv=CONVOLUTIONS)
def test_same_padding_gives_the_size_over_the_stride_rounded_up(size, conv) -> None:
    conv = replace(conv, padding="same", padding_mode="zeros")
    images = convolution(1, conv)(torch.zeros(1, 1, size, size))
    assert tuple(images.shape[2:]) == tuple(-(-size // stride) for stride in conv.stride)
