import numpy as np
import pytest
import torch
from torch import nn

from sweeper.training.gradients import LastGradients, weights
from sweeper.training.state import RunState


@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_divided_by_the_scale_of_half_precision(fused) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    gradients = LastGradients(model, optimizer, RunState(1, 0, "val/loss", "minimize"))
    scaler.scale(model(torch.tensor([[2.0, -3.0]])).sum()).backward()
    scaler.step(optimizer)
    assert gradients.values["weight"].tolist() == [[2.0, -3.0]]


def test_biases_and_scales_are_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 1))
    assert list(weights(model)) == ["0", "3"]


def test_weights_are_a_copy() -> None:
    model = nn.Linear(1, 1)
    before = weights(model)["weight"].copy()
    kept = weights(model)
    nn.init.constant_(model.weight, 9.0)
    assert np.array_equal(kept["weight"], before)
