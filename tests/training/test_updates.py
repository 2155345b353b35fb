"""Accumulation, clipping and averaging against values computed by hand."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from sweeper.training.updates import Schedule, Updates


def updates_of(model: nn.Module, **settings: float) -> Updates:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = SGD(model.parameters(), lr=1.0)
    return Updates(model, optimizer, Schedule(None), scaler=scaler, **settings)


@pytest.fixture
def model() -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def feed(updates: Updates, model: nn.Module, gradients: list[float]) -> list[float]:
    weights = []
    for batch, gradient in enumerate(gradients, start=1):
        updates.after_batch(model.weight.sum() * gradient, batch, len(gradients))
        weights.append(model.weight.item())
    return weights


@pytest.mark.parametrize(
    ("accumulate", "weights"),
    [
        (1, [-1.0, -3.0, -6.0, -10.0, -15.0]),
        (2, [0.0, -1.5, -1.5, -5.0, -10.0]),  # the means of (1, 2), (3, 4) and (5)
        (9, [0.0, 0.0, 0.0, 0.0, -3.0]),
    ],
)
def test_a_step_follows_the_mean_gradient_of_its_group(model, accumulate, weights) -> None:
    updates = updates_of(model, accumulate=accumulate)
    assert feed(updates, model, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(weights)


def test_the_gradient_is_clipped_to_the_norm(model) -> None:
    assert feed(updates_of(model, clip_norm=0.5), model, [3.0, 0.25]) == pytest.approx(
        [-0.5, -0.75]
    )


def test_the_average_follows_the_weights(model) -> None:
    updates = updates_of(model, ema_decay=0.5)
    feed(updates, model, [1.0, 1.0])
    # the first update copies -1; then 0.5 * -1 + 0.5 * -2
    assert updates.eval_model.weight.item() == pytest.approx(-1.5)
    assert model.weight.item() == pytest.approx(-2.0)


def test_an_unfinished_group_survives_a_checkpoint(model) -> None:
    updates = updates_of(model, accumulate=2)
    updates.after_batch(model.weight.sum() * 4.0, 1, 2)
    other = nn.Linear(1, 1, bias=False)
    other.load_state_dict(model.state_dict())
    restored = updates_of(other, accumulate=2)
    restored.load_state_dict(updates.state_dict())
    restored.after_batch(other.weight.sum() * 2.0, 2, 2)
    assert other.weight.item() == pytest.approx(-3.0)


@pytest.mark.parametrize("names", [["bias", "weight"], ["weight"]])
def test_moments_of_other_parameters_are_refused(names) -> None:
    model = nn.Linear(3, 1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    own = dict(model.named_parameters())
    saved, here = (
        Updates(model, Adam([own[n] for n in order], fused=True), Schedule(None), scaler=scaler)
        for order in (["weight", "bias"], names)
    )
    saved.after_batch(model.weight.sum() + model.bias.sum(), 1, 1)
    with pytest.raises(ValueError, match="parameter groups differ"):
        here.load_state_dict(saved.state_dict())


@pytest.mark.parametrize(
    ("given", "fused"),
    [
        ((), True),
        (("+optimizer.fused=false",), False),
        (("+optimizer.foreach=true",), None),
        (("optimizer=sgd", "+optimizer.differentiable=true"), None),
    ],
)
def test_the_fused_kernel_is_the_default_unless_another_implementation_is_named(
    built, given, fused
) -> None:
    assert built(*given).updates.optimizer.defaults["fused"] is fused
