"""Networks that read strings: shapes, parameter counts, and the columns a time step depends on."""

import pytest
import torch

from sweeper.errors import ConfigError, ShapeError
from sweeper.models.crnn import CRNN
from sweeper.summary.table import summarise

# Worked by hand: a convolution has in * out * k * k weights and out biases, a batch norm
# 2 * channels and the convolution before it no biases; each direction of an LSTM of size h on f
# features has four gates of h * (f + h) weights and 2 * h biases; the linear layer is the last.
COUNTS = [
    # 9*4 + 4 = 40; rows: 8 -> 4; features 4*4 = 16; 16*11 + 11 = 187
    ((1, 8, 48), {"channels": [4, "M"], "recurrent": 0}, 227, 24),
    # 40; 2 directions * 4 gates * (5*(16 + 5) + 10) = 920; 10*11 + 11 = 121
    ((1, 8, 48), {"channels": [4, "M"], "recurrent": 5}, 1081, 24),
    # 27*4 + 8 = 116; 25*4*6 + 12 = 612; rows: 9 -> 4 -> 2; features 2*6 = 12; 12*11 + 11 = 143
    (
        (3, 9, 30),
        {"channels": [4, "H", 6, "M"], "kernel_size": [3, 5], "batch_norm": True, "recurrent": 0},
        871,
        15,
    ),
    # nothing is convolved or pooled: 8 rows of one channel
    ((1, 8, 7), {"channels": [], "recurrent": 0}, 8 * 11 + 11, 7),
    ((1, 8, 7), {"channels": ["H", "H"], "recurrent": 0}, 2 * 11 + 11, 7),
]


@pytest.mark.parametrize(("input_shape", "arguments", "parameters", "steps"), COUNTS)
def test_parameters_and_time_steps_are_those_counted_by_hand(
    input_shape, arguments, parameters, steps
) -> None:
    model = CRNN(input_shape, 11, **arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.zeros(2, *input_shape)).shape == (2, steps, 11)


def columns_of(model: CRNN, step: int) -> list[int]:
    """Return the columns of an image that the outputs of a time step depend on."""
    images = torch.rand(1, 1, 8, 32, requires_grad=True)
    model.eval()(images)[0, step].sum().backward()
    return images.grad[0, 0].abs().sum(dim=0).nonzero()[:, 0].tolist()


def test_time_runs_from_left_to_right() -> None:
    model = CRNN((1, 8, 32), 5, ["H"], recurrent=0)
    assert [columns_of(model, step) for step in (0, 9, 31)] == [[0], [9], [31]]
    halved = CRNN((1, 8, 32), 5, [4, "M"], activation="tanh", recurrent=0)
    columns = columns_of(
        halved, 5
    )  # max pooling picks of the pixels 10 and 11; each sees its neighbours
    assert set(columns) <= {9, 10, 11, 12}


def test_the_recurrent_layer_reads_in_both_directions() -> None:
    model = CRNN((1, 8, 32), 5, ["H"], recurrent=3)
    assert columns_of(model, 9) == list(range(32))


def test_the_summary_counts_every_weight_of_the_recurrent_layer_each_step() -> None:
    rows = summarise(CRNN((1, 8, 48), 11, [4, "M"], recurrent=5), (1, 8, 48), 64).rows
    last = {row.type: (row.output_shape, row.multiply_adds) for row in rows[-3:]}
    assert last["LSTM"] == ((24, 10), 24 * 2 * 4 * 5 * (16 + 5))
    assert last["Linear"] == ((24, 11), 24 * 10 * 11)
    assert rows[0].output_shape == (1, 8, 48)
    assert [row.field.size for row in rows if row.type == "MaxPool2d"] == [(4, 4)]


def test_it_builds_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = CRNN((1, 8, 48), 11, [4, "M", 8, "H"])
        assert model(torch.empty(2, 1, 8, 48)).shape == (2, 24, 11)


@pytest.mark.parametrize(
    ("input_shape", "arithmetic"),
    [
        ((1, 4, 48), "4x48 -> .* -> 1x24 -> pool 2x1 -> 0x24; type data.image_size=8"),
        ((1, 48, 1), "48x1 -> .* -> pool 2 -> 24x0"),
    ],
)
def test_an_image_pooled_away_is_refused_with_the_arithmetic(input_shape, arithmetic) -> None:
    with pytest.raises(ShapeError, match=rf"^model\.channels: .*: {arithmetic}") as caught:
        CRNN(input_shape, 11, [4, "M", 4, "H", "H"])
    assert "model.stride" not in str(caught.value)


def test_a_list_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.kernel_size=\[1\] has 1 values for the 2 conv"):
        CRNN((1, 8, 8), 11, [16, "M", 32], kernel_size=[1])
