"""The sizes worked out for chains of convolutions and poolings, against torch's own layers."""

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
STEPS = st.lists(CONVOLUTIONS | st.builds(Pool, st.integers(1, 4)), max_size=5)


def layer(step: Layer) -> nn.Module:
    if isinstance(step, Pool):
        return nn.MaxPool2d(step.kernel_size)
    if step.padding == "same":
        return same_conv(1, 1, step.kernel_size, step.stride)
    return nn.Conv2d(1, 1, step.kernel_size, step.stride, step.padding)


@REPEATABLE
@given(steps=STEPS, height=st.integers(1, 60), width=st.integers(1, 60))
def test_the_output_size_is_torchs_and_nothing_is_left_where_torch_refuses(
    steps, height, width
) -> None:
    network = nn.Sequential(*map(layer, steps))
    try:
        shape = network(torch.zeros(1, 1, height, width)).shape
    except RuntimeError:
        with pytest.raises(ShapeError):
            output_size(steps, height, width)
    else:
        assert output_size(steps, height, width) == tuple(shape[2:])


@REPEATABLE
@given(steps=STEPS)
def test_the_smallest_input_leaves_something_and_the_next_smaller_nothing(steps) -> None:
    least = smallest_input(steps)
    assert min(output_size(steps, least, least)) >= 1
    if least > 1:
        with pytest.raises(ShapeError):
            output_size(steps, least - 1, least)


@REPEATABLE
@given(kernel_size=st.integers(1, 8), stride=st.integers(1, 5), size=st.integers(1, 40))
def test_same_padding_gives_the_size_over_the_stride_rounded_up(kernel_size, stride, size) -> None:
    images = same_conv(1, 1, kernel_size, stride)(torch.zeros(1, 1, size, 1))
    assert tuple(images.shape[2:]) == (-(-size // stride), 1)
