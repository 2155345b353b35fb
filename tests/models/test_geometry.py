"""Computed sizes of chains of convolutions and poolings, compared with torch's own layers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sweeper.errors import ShapeError
from sweeper.models.geometry import Conv, Layer, Pool, output_size, smallest_input
from sweeper.models.layers import same_conv

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=200)

CONVOLUTIONS = st.builds(
    Conv,
    channels=st.just(1),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4) | st.just("same"),
)
LAYERS = st.lists(CONVOLUTIONS | st.builds(Pool, st.integers(1, 4)), max_size=5)


def module(layer: Layer) -> nn.Module:
    if isinstance(layer, Pool):
        return nn.MaxPool2d(layer.kernel_size)
    if layer.padding == "same":
        return same_conv(1, 1, layer.kernel_size, layer.stride)
    return nn.Conv2d(1, 1, layer.kernel_size, layer.stride, layer.padding)


@REPEATABLE
@given(layers=LAYERS, height=st.integers(1, 60), width=st.integers(1, 60))
def test_the_output_size_is_torchs_and_an_image_that_torch_refuses_is_refused(
    layers, height, width
) -> None:
    network = nn.Sequential(*map(module, layers))
    try:
        shape = network(torch.zeros(1, 1, height, width)).shape
    except RuntimeError:
        with pytest.raises(ShapeError):
            output_size(layers, height, width)
    else:
        assert output_size(layers, height, width) == tuple(shape[2:])


@REPEATABLE
@given(layers=LAYERS)
def test_the_smallest_input_is_accepted_and_one_pixel_less_is_refused(layers) -> None:
    smallest = smallest_input(layers)
    assert min(output_size(layers, smallest, smallest)) >= 1
    if smallest > 1:
        with pytest.raises(ShapeError):
            output_size(layers, smallest - 1, smallest)


@REPEATABLE
@given(kernel_size=st.integers(1, 8), stride=st.integers(1, 5), size=st.integers(1, 40))
def test_same_padding_gives_the_size_over_the_stride_rounded_up(kernel_size, stride, size) -> None:
    images = same_conv(1, 1, kernel_size, stride)(torch.zeros(1, 1, size, 1))
    assert tuple(images.shape[2:]) == (-(-size // stride), 1)
