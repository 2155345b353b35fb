"""The memory of a training batch, compared with sizes counted by hand in float32."""

import copy

import pytest
import torch
from torch import nn

from sweeper.summary.memory import TrainingMemory, saved_bytes, training_memory
from sweeper.training.recompute import recompute_activations

FLOAT, INDEX = 4, 8
IMAGES = 2 * 3 * 8 * 8 * FLOAT
OUTPUTS = 2 * 8 * 8 * 8 * FLOAT  # of a convolution with 8 channels that preserves the size
POOLED = 2 * 8 * 4 * 4


def conv(channels: int = 3) -> nn.Module:
    return nn.Conv2d(channels, 8, 3, padding=1)


def blocks() -> nn.Sequential:
    """Return two blocks of a convolution and an activation whose input is saved, too."""
    return nn.Sequential(*(nn.Sequential(conv(c), nn.GELU()) for c in (3, 8)))


SAVED = {
    "images alone": ([conv()], IMAGES),
    "an activation in place": ([conv(), nn.ReLU(inplace=True), conv(8)], IMAGES + OUTPUTS),
    "an activation out of place": ([conv(), nn.GELU(), conv(8)], IMAGES + 2 * OUTPUTS),
    "max pooling, with its indices": (
        [conv(), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 5)],
        IMAGES + OUTPUTS + POOLED * (INDEX + FLOAT),
    ),
    "batch norm, with mean and deviation": (
        [conv(), nn.BatchNorm2d(8), nn.ReLU(inplace=True)],
        IMAGES + 2 * OUTPUTS + 2 * 8 * FLOAT,
    ),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("layers", "expected"), SAVED.values(), ids=SAVED.keys())
def test_saved_bytes_are_those_counted_by_hand(layers, expected, device) -> None:
    model = copy.deepcopy(nn.Sequential(*layers)).to(device)
    assert saved_bytes(model, torch.zeros(2, 3, 8, 8, device=device)) == expected


def test_recomputed_activations_are_not_saved() -> None:
    plain, recomputing = blocks(), blocks()
    assert recompute_activations(recomputing) == 2
    assert saved_bytes(plain, torch.zeros(2, 3, 8, 8)) == IMAGES + 3 * OUTPUTS
    assert saved_bytes(recomputing, torch.zeros(2, 3, 8, 8)) == IMAGES + OUTPUTS


def test_a_frozen_layer_has_no_gradients_and_saves_nothing() -> None:
    frozen, head = conv(), nn.Linear(8 * 64, 5)
    frozen.requires_grad_(False)
    memory = training_memory(nn.Sequential(frozen, nn.Flatten(), head), torch.zeros(2, 3, 8, 8))
    gradients = (512 * 5 + 5) * FLOAT
    assert memory == TrainingMemory(2, gradients + (8 * 27 + 8) * FLOAT, gradients, OUTPUTS)
    assert memory.total == memory.parameters + memory.gradients + memory.activations
