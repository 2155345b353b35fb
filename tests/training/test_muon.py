"""Muon for matrices and AdamW for all other parameters."""

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import ExponentialLR

from sweeper.training.finetune import scale_rates
from sweeper.training.muon import MuonWithAdamW


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4), nn.Linear(4, 3))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, times: int = 1) -> None:
    images = torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)
    for _ in range(times):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


def test_each_parameter_is_updated_as_its_own_optimizer_would() -> None:
    together, apart = network(), network()
    step(together, MuonWithAdamW(together.parameters(), lr=0.02, weight_decay=0.1))
    matrices = [p for p in apart.parameters() if p.ndim == 2]
    others = [p for p in apart.parameters() if p.ndim != 2]
    muon = Muon(matrices, lr=0.02, momentum=0.95, nesterov=True, weight_decay=0.1)
    adamw = AdamW(others, lr=0.001, weight_decay=0.1)
    apart(torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)).square().sum().backward()
    muon.step()
    adamw.step()
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_schedule_reaches_both_learning_rates_also_after_a_checkpoint() -> None:
    model = network()
    optimizer = MuonWithAdamW(model.parameters(), lr=0.02, adamw_lr=0.001)
    optimizer.load_state_dict(optimizer.state_dict())
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    step(model, optimizer)
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.0005]


def test_a_restored_optimizer_equals_the_uninterrupted_one() -> None:
    whole, split = network(), network()
    step(whole, MuonWithAdamW(whole.parameters()), times=4)
    first = MuonWithAdamW(split.parameters())
    step(split, first, times=2)
    second = MuonWithAdamW(split.parameters())
    second.load_state_dict(first.state_dict())
    step(split, second, times=2)
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_each_group_keeps_its_rate_and_the_matrices_come_first() -> None:
    model = network()
    scaled = {"params": [*model[2].parameters(), *model[3].parameters()], "lr_scale": 0.1}
    groups = [{"params": model[0].parameters(), "lr_scale": 1.0}, scaled]
    optimizer = MuonWithAdamW(groups, lr=0.02, adamw_lr=0.001)
    scale_rates(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    # The two matrices; the filters and biases of the first layer; the biases of the last layers.
    rates = [(group["lr"], len(group["params"])) for group in optimizer.param_groups]
    assert rates == [(pytest.approx(0.002), 2), (0.001, 2), (pytest.approx(0.0001), 2)]


@pytest.mark.parametrize("layer", [nn.Linear(2, 2, bias=False), nn.Conv2d(1, 1, 1)])
def test_a_network_with_only_matrices_or_none_trains(layer: nn.Module) -> None:
    optimizer = MuonWithAdamW(layer.parameters())
    before = layer.weight.clone()
    layer.weight.square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, layer.weight)
