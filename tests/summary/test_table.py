"""The table of layers."""

import random

import pytest
import torch
from torch import Tensor, nn

from sweeper.models.convnet import ConvNet
from sweeper.models.resnet import ResNet
from sweeper.summary.table import summarise

LENET5 = {"channels": [6, 16], "hidden": [120], "kernel_size": 5, "padding": ["same", 0]}


def test_every_layer_has_a_row_with_its_numbers() -> None:
    rows = summarise(ConvNet((1, 28, 28), 10, **LENET5), (1, 28, 28), 1).rows
    cells = [(row.type, row.output_shape, row.parameters, row.multiply_adds) for row in rows]
    assert cells == [
        ("", (1, 28, 28), 0, 0),
        ("Conv2d", (6, 28, 28), 156, 25 * 6 * 28 * 28),
        ("ReLU", (6, 28, 28), 0, 0),
        ("MaxPool2d", (6, 14, 14), 0, 0),
        ("Conv2d", (16, 10, 10), 2416, 6 * 25 * 16 * 10 * 10),
        ("ReLU", (16, 10, 10), 0, 0),
        ("MaxPool2d", (16, 5, 5), 0, 0),
        ("Flatten", (400,), 0, 0),
        ("Linear", (120,), 48_120, 400 * 120),
        ("ReLU", (120,), 0, 0),
        ("Linear", (10,), 1_210, 120 * 10),
    ]
    assert [row.name for row in rows[:2]] == ["image", "features.0.0"]


def test_an_output_in_place_or_a_view_needs_no_memory() -> None:
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Tanh(), nn.Dropout(), nn.Flatten()
    summary = summarise(nn.Sequential(*layers), (3, 8, 8), 1)
    image, output = 3 * 8 * 8 * 4, 4 * 6 * 6 * 4
    assert [row.activation_bytes for row in summary.rows] == [image, output, 0, output, 0, 0]
    assert summary.activation_bytes == image + 2 * output
    assert [row.parameter_bytes for row in summary.rows] == [0, 4 * (4 * 27 + 4), 0, 0, 0, 0]


def test_resnet50_has_the_published_totals() -> None:
    with torch.device("meta"):
        model = ResNet((3, 224, 224), 1000, [3, 4, 6, 3], [64, 128, 256, 512])
    summary = summarise(model, (3, 224, 224), 1)
    assert summary.parameters == 25_557_032
    assert summary.multiply_adds == 4_089_184_256


@pytest.mark.parametrize(
    ("name", "products"),  # the products of queries, keys and values are not counted
    [
        ("vit_b_16", 12 * 2 * 197**2 * 768),  # 12 blocks, 197 tokens of 768 values, two products
        ("swin_t", 2 * 49**2 * (2 * 64 * 96 + 2 * 16 * 192 + 6 * 4 * 384 + 2 * 768)),
    ],
)
def test_a_transformer_has_the_published_operations_and_rows_for_all_parameters(
    name, products
) -> None:
    from torchvision import models

    with torch.device("meta"):
        model = models.get_model(name)
    published = models.get_model_weights(name).IMAGENET1K_V1.meta["_ops"]
    summary = summarise(model, (3, 224, 224), 1)
    assert (summary.multiply_adds + products) / 1e9 == pytest.approx(published, abs=1e-3)
    assert sum(row.parameters for row in summary.rows) == summary.parameters
    assert sum(row.parameter_bytes for row in summary.rows) == 4 * summary.parameters


class Cells(nn.Module):
    """A network that passes each row of an image to a recurrent cell."""

    def __init__(self, kind: type[nn.RNNCellBase]) -> None:
        super().__init__()
        self.cell = kind(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        state = None
        for row in images[:, 0].unbind(dim=1):
            state = self.cell(row, state)
        return state[0] if isinstance(state, tuple) else state


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
def test_a_recurrent_cell_counts_its_weights_at_each_call(kind, gates) -> None:
    assert summarise(Cells(kind), (1, 4, 6), 1).multiply_adds == 4 * gates * 5 * (6 + 5)


def test_grouped_convolutions_count_the_channels_of_one_group() -> None:
    model = nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False)
    assert summarise(model, (4, 6, 6), 1).multiply_adds == 9 * 8 * 36


def test_a_layer_called_twice_counts_its_parameters_once() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1)
    summary = summarise(nn.Sequential(layer, layer), (1, 4, 4), 1)
    assert [row.parameters for row in summary.rows] == [0, 10, 0]
    assert summary.parameters == 10
    assert summary.multiply_adds == 2 * 9 * 16


def test_a_parameter_of_two_layers_counts_once() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    summary = summarise(nn.Sequential(first, second), (1, 1, 4), 1)
    assert [row.parameters for row in summary.rows] == [0, 20, 4]
    assert summary.parameters == 24


def test_the_model_and_the_random_number_generators_keep_their_state() -> None:
    model = ConvNet((1, 8, 8), 10, [4], [8], batch_norm=True, dropout=0.5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    summarise(model, (1, 8, 8), 2)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


class Noisy(nn.Module):
    """A network that draws random numbers, and reads a value, which meta tensors do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, images: Tensor) -> Tensor:
        noise = torch.rand(1)
        return self.conv(images) + noise if images.max() < 1 else images


def test_a_forward_that_needs_values_runs_on_the_cpu_instead() -> None:
    model = Noisy()
    state = torch.get_rng_state()
    summary = summarise(model, (1, 8, 8), 2)
    assert [row.output_shape for row in summary.rows] == [(1, 8, 8), (2, 6, 6)]
    assert torch.equal(torch.get_rng_state(), state)


def test_an_image_of_the_wrong_shape_raises_torchs_error() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        summarise(nn.Conv2d(3, 2, 3), (1, 8, 8), 1)


def test_the_table_is_aligned_plain_text_with_totals() -> None:
    table = summarise(ConvNet((1, 28, 28), 10, **LENET5), (1, 28, 28), 64).table()
    lines = table.splitlines()
    assert lines[1].split()[:2] == ["layer", "type"]
    assert lines[4].split() == [
        "features.0.0", "Conv2d", "6x28x28", "156", "117,600", "624", "18,816", "5", "1",
    ]  # fmt: skip
    total = lines.index("") - 1
    assert lines[total].split() == ["total", "51,902", "406,800", "207,608", "35,176"]
    assert len({line.rfind(" ") for line in lines[3 : total - 1]}) == 1
    assert lines[total + 2].startswith("training with batches of 64 images needs ")
    assert "  202.7 KiB parameters + 202.7 KiB gradients + " in lines[total + 3]


def test_the_table_has_the_trainable_parameters_if_some_are_frozen() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    assert "trainable" not in summarise(model, (1, 1, 2), 4).table()
    model[0].requires_grad_(False)
    lines = [line.split()[:2] for line in summarise(model, (1, 1, 2), 4).table().splitlines()]
    assert lines[lines.index(["total", "25"]) + 1] == ["trainable", "16"]


def test_each_input_of_a_transposed_convolution_has_a_filter() -> None:
    model = nn.ConvTranspose2d(8, 4, 2, stride=2)
    assert summarise(model, (8, 7, 7), 1).multiply_adds == 8 * 7 * 7 * 4 * 2 * 2
