import numpy as np
import pytest
import torch
from torch import nn

from sweeper.training.gradients import LastGradients, parameters
from sweeper.training.state import RunState


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_divided_by_the_scale_of_half_precision(fused) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients = LastGradients(model, optimizer, RunState(1, 0, "val/loss", "minimize"))
    scaler.scale(model(torch.tensor([[2.0, -3.0]])).sum()).backward()
    scaler.step(optimizer)
    assert gradients.values["weights"]["weight"].tolist() == [[2.0, -3.0]]
    assert gradients.values["biases"]["bias"].tolist() == [1.0]


def test_weights_and_biases_are_kept_apart_and_scales_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 1))
    assert {kind: list(values) for kind, values in parameters(model).items()} == {
        "weights": ["0", "3"],
        "biases": ["0", "1", "3"],
    }


def test_the_biases_of_a_recurrent_layer_keep_their_names() -> None:
    model = nn.Sequential(nn.LSTM(2, 3))
    assert list(parameters(model)["biases"]) == ["0.bias_ih_l0", "0.bias_hh_l0"]


def test_values_are_a_copy() -> None:
    model = nn.Linear(1, 1)
    kept = parameters(model)["weights"]["weight"]
    before = kept.copy()
    nn.init.constant_(model.weight, 9.0)
    assert np.array_equal(kept, before)
