"""Muon for hidden layers and AdamW for all other parameters."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import ExponentialLR

from sweeper.errors import ConfigError
from sweeper.training.finetune import scale_rates
from sweeper.training.muon import MuonWithAdamW, output_weight


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4), nn.Linear(4, 3))


def muon_of(model: nn.Module, **settings: Any) -> MuonWithAdamW:
    return MuonWithAdamW(model.parameters(), output_weight=output_weight(model), **settings)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, times: int = 1) -> None:
    images = torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)
    for _ in range(times):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


def test_each_parameter_is_updated_as_its_own_optimizer_would() -> None:
    together, apart = network(), network()
    step(together, muon_of(together, lr=0.02, weight_decay=0.1))
    apart(torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)).square().sum().backward()
    filters = nn.Parameter(apart[0].weight.detach().flatten(1))  # shares its memory
    filters.grad = apart[0].weight.grad.flatten(1)
    hidden = [filters, apart[2].weight]
    Muon(hidden, lr=0.02, momentum=0.95, nesterov=True, weight_decay=0.1).step()
    others = [apart[0].bias, apart[2].bias, *apart[3].parameters()]
    AdamW(others, lr=0.001, weight_decay=0.1).step()
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def filters_of(layout: torch.memory_format) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 2), nn.Flatten(), nn.Linear(20, 3)
    return nn.Sequential(*layers).to(memory_format=layout)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, times: int) -> None:
    images = torch.linspace(-1, 1, 150).reshape(2, 3, 5, 5)
    for _ in range(times):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_filters_are_the_same_in_both_memory_formats_also_when_it_changes(
    first: torch.memory_format, second: torch.memory_format
) -> None:
    whole, split = filters_of(first), filters_of(first)
    train(whole, muon_of(whole), times=4)
    before = muon_of(split)
    train(split, before, times=2)
    rest = split.to(memory_format=second)
    assert rest[0].weight.is_contiguous(memory_format=second)
    after = muon_of(rest)
    after.load_state_dict(before.state_dict())
    train(rest, after, times=2)
    exact = {"rtol": 0, "atol": 0} if first == second else {"rtol": 1e-2, "atol": 1e-4}
    for one, other in zip(whole.parameters(), rest.parameters(), strict=True):
        torch.testing.assert_close(one, other, **exact)


def test_a_schedule_reaches_both_learning_rates_also_after_a_checkpoint() -> None:
    model = network()
    optimizer = muon_of(model, lr=0.02, adamw_lr=0.001)
    optimizer.load_state_dict(optimizer.state_dict())
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    step(model, optimizer)
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.0005]


def test_a_restored_optimizer_equals_the_uninterrupted_one() -> None:
    whole, split = network(), network()
    step(whole, muon_of(whole), times=4)
    first = muon_of(split)
    step(split, first, times=2)
    second = muon_of(split)
    second.load_state_dict(first.state_dict())
    step(split, second, times=2)
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_each_group_keeps_its_rate_and_the_hidden_layers_come_first() -> None:
    model = network()
    scaled = {"params": list(model[0].parameters()), "lr_scale": 0.1}
    rest = {"params": [*model[2].parameters(), *model[3].parameters()], "lr_scale": 1.0}
    optimizer = MuonWithAdamW(
        [rest, scaled], lr=0.02, adamw_lr=0.001, output_weight=output_weight(model)
    )
    scale_rates(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    groups = [(group["lr"], list(map(id, group["params"]))) for group in optimizer.param_groups]
    assert groups == [
        (0.02, [id(model[2].weight)]),
        (pytest.approx(0.002), [id(model[0].weight)]),
        (0.001, list(map(id, (model[2].bias, *model[3].parameters())))),
        (pytest.approx(0.0001), [id(model[0].bias)]),
    ]


def test_filters_may_be_the_output_layer_and_tokens_are_no_matrices() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
    model.token = nn.Parameter(torch.zeros(1, 1, 8))
    assert output_weight(model) is model[1].weight
    optimizer = muon_of(model)
    assert optimizer.param_groups[0]["params"] == [model[0].weight]
    assert len(optimizer.param_groups[1]["params"]) == 6


def test_a_network_without_biases_trains() -> None:
    model = nn.Linear(2, 2, bias=False)
    before = model.weight.clone()
    optimizer = MuonWithAdamW(model.parameters())
    model.weight.square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.weight)


@pytest.mark.parametrize(
    "overrides",
    [("model=mlp", "model.hidden=[]"), ("trainer.freeze=[features]",)],
    ids=["no hidden layer", "frozen"],
)
def test_a_network_without_a_hidden_layer_to_train_is_one_line(built, refuses, overrides) -> None:
    with refuses(ConfigError, r"^optimizer=muon .*no hidden layer is trained.*optimizer=adamw$"):
        built("optimizer=muon", *overrides)
