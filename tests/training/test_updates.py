"""Accumulation, clipping and averaging against values computed by hand."""

import copy
import math

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


@pytest.mark.parametrize("flipped", [False, True])
def test_moments_and_gradients_follow_a_change_of_the_memory_format(flipped) -> None:
    formats = [torch.channels_last, torch.contiguous_format][:: -1 if flipped else 1]
    models = [nn.Conv2d(3, 4, 2, bias=False).to(memory_format=each) for each in formats]
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    saved, here = (
        Updates(m, Adam(m.parameters(), fused=True), Schedule(None), scaler=scaler, accumulate=2)
        for m in models
    )
    gradients = torch.randn(4, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for batch in (1, 2, 3):
        saved.after_batch((models[0].weight * gradients[batch - 1]).sum(), batch, 4)
    models[1].load_state_dict(models[0].state_dict())
    here.load_state_dict(copy.deepcopy(saved.state_dict()))
    moments = [updates.optimizer.state_dict()["state"][0] for updates in (saved, here)]
    assert torch.equal(models[0].weight.grad, models[1].weight.grad)
    assert all(torch.equal(moments[0][name], moments[1][name]) for name in moments[0])
    for model, updates in zip(models, (saved, here), strict=True):
        updates.after_batch((model.weight * gradients[3]).sum(), 4, 4)
    torch.testing.assert_close(models[0].weight, models[1].weight)


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


class Buffered(nn.Module):
    """A network of one weight with all kinds of buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.norm = nn.BatchNorm1d(1)
        self.register_buffer("index", torch.arange(169))
        self.register_buffer("mask", torch.tensor([0.0, -math.inf]))
        self.register_buffer("hidden", torch.tensor([math.inf]), persistent=False)


def test_only_running_statistics_are_averaged_among_the_buffers() -> None:
    model = Buffered()
    updates = updates_of(model, ema_decay=0.9999)
    feed(updates, model, [1.0])
    model.norm.running_mean.fill_(1.0)
    model.norm.num_batches_tracked.fill_(9)
    feed(updates, model, [1.0] * 2)
    averages = dict(updates.eval_model.named_buffers())
    assert averages.pop("norm.running_mean").item() == pytest.approx(2e-4, rel=1e-3)
    assert all(torch.equal(averages[name], model.get_buffer(name)) for name in averages)


def test_wrong_buffers_in_an_average_of_an_earlier_version_are_mended() -> None:
    model = Buffered()
    updates = updates_of(model, ema_decay=0.9999)
    feed(updates, model, [1.0] * 2)
    state = copy.deepcopy(updates.state_dict())
    state["ema"]["module.index"] -= 1
    state["ema"]["module.mask"].fill_(math.nan)
    updates.load_state_dict(state)
    feed(updates, model, [1.0])
    assert torch.equal(updates.eval_model.index, model.index)
    assert torch.equal(updates.eval_model.mask, model.mask)


@pytest.mark.parametrize("settings", [{}, {"nesterov": True}, {"weight_decay": 0.1}], ids=str)
def test_a_parameter_may_get_its_first_gradient_after_the_first_step(settings) -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    results = []
    for fused in (True, False):
        model = nn.Linear(2, 1)
        nn.init.ones_(model.weight)
        nn.init.ones_(model.bias)
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, fused=fused, **settings)
        updates = Updates(model, optimizer, Schedule(None), scaler=scaler)
        for batch, parts in enumerate((1, 2, 2), start=1):
            loss = sum(parameter.sum() for parameter in list(model.parameters())[:parts])
            updates.after_batch(loss, batch, 3)
        results.append(nn.utils.parameters_to_vector(model.parameters()))
    torch.testing.assert_close(*results)


def test_a_first_step_that_overflows_leaves_no_momentum(model, monkeypatch) -> None:
    monkeypatch.setattr(torch, "empty_like", lambda values: torch.full_like(values, math.nan))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    updates = Updates(model, optimizer, Schedule(None), scaler=scaler)
    assert feed(updates, model, [math.inf, 1.0, 1.0]) == pytest.approx([0.0, -0.1, -0.29])
