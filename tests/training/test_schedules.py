"""Schedules against values computed by hand, and options with the horizon of a run."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD

from sweeper.errors import ConfigError
from sweeper.training import schedules


def rates(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    """Return the learning rate of each of the next steps."""
    values = []
    for _ in range(steps):
        values.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return values


@pytest.fixture
def optimizer() -> SGD:
    return SGD(nn.Linear(1, 1).parameters(), lr=1.0)


def test_warmup_rises_linearly_and_the_cosine_ends_at_the_final_factor(optimizer: SGD) -> None:
    scheduler = schedules.warmup_cosine(optimizer, 8, warmup=0.5, final_factor=0.5)
    expected = [0.2, 0.4, 0.6, 0.8, 1.0, 0.75 + 0.25 * 0.5**0.5, 0.75, 0.75 - 0.25 * 0.5**0.5, 0.5]
    assert rates(scheduler, 9) == pytest.approx(expected)


def test_milestones_are_fractions_of_the_run(optimizer: SGD) -> None:
    scheduler = schedules.multistep(optimizer, 8, milestones=[0.5, 0.75], gamma=0.1)
    assert rates(scheduler, 8) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warm_restarts_fill_the_run_with_growing_cycles(optimizer: SGD) -> None:
    scheduler = schedules.cosine_warm_restarts(optimizer, 14, cycles=3, t_mult=2, eta_min=0.0)
    starts = [step for step, rate in enumerate(rates(scheduler, 14)) if rate == 1.0]
    assert starts == [0, 2, 6]  # cycles of 2, 4 and 8 steps


def test_the_last_warm_cycle_ends_with_a_run_of_any_length(optimizer: SGD) -> None:
    scheduler = schedules.cosine_warm_restarts(optimizer, 10, cycles=3, t_mult=2, eta_min=0.1)
    positions = [0, 0.7, 0.2, 0.55, 0.9, *(0.125 + 0.175 * step for step in range(5))]
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * position)) / 2 for position in positions]
    assert rates(scheduler, 10) == pytest.approx(expected)


def test_a_rounding_error_does_not_put_off_a_restart(optimizer: SGD) -> None:
    scheduler = schedules.cosine_warm_restarts(optimizer, 10, cycles=6, t_mult=1, eta_min=0.0)
    assert rates(scheduler, 10)[5] == pytest.approx(1.0)


def test_resumed_warm_restarts_have_the_same_rates(optimizer: SGD) -> None:
    whole, rest = (schedules.cosine_warm_restarts(optimizer, 10, 3, 2, 0.0) for _ in range(2))
    rates(whole, 4)
    rest.load_state_dict(whole.state_dict())
    assert rates(rest, 6) == rates(whole, 6)


@pytest.mark.parametrize(
    ("option", "first", "last"),
    [
        ("none", 1e-3, 1e-3),
        ("cosine", 1e-3, 0.0),
        ("polynomial", 1e-3, 0.0),
        ("warmup_cosine", 1e-3 / 5, 0.0),
        ("multistep", 1e-3, 1e-5),
        ("exponential", 1e-3, 1e-3 * 0.95**2),
    ],
)
def test_horizons_come_from_epochs_and_batches(built, option, first, last) -> None:
    experiment = built(f"scheduler={option}", "trainer.epochs=2", "trainer.accumulate=1")
    updates, batches = experiment.updates, experiment.data.steps_per_epoch
    assert updates.lr == pytest.approx(first)
    updates.optimizer.step()
    for _ in range(2):
        for _ in range(batches):
            updates.schedule.after_step()
        updates.schedule.after_epoch(0.5)
    assert updates.lr == pytest.approx(last, abs=1e-6)


def test_plateau_follows_the_metric_and_its_direction(built) -> None:
    overrides = ("scheduler=plateau", "scheduler.patience=1", "metric=val/loss")
    schedule = built(*overrides).updates.schedule
    assert schedule.scheduler.mode == "min"
    for loss in (1.0, 2.0, 3.0):
        schedule.after_epoch(loss)
    assert schedule.scheduler.get_last_lr() == [5e-4]


def test_one_cycle_may_rise_in_a_single_step(optimizer: SGD) -> None:
    scheduler = schedules.one_cycle(optimizer, 4, 0.25, "linear", 25.0, 1e4)
    assert rates(scheduler, 4) == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=1e-5)


OWN_PLATEAUS = """
from torch.optim.lr_scheduler import ReduceLROnPlateau


class Passes(ReduceLROnPlateau):
    def __init__(self, optimizer, **arguments):
        super().__init__(optimizer, **arguments)


class Fixes(ReduceLROnPlateau):
    def __init__(self, optimizer, patience=1):
        super().__init__(optimizer, "min", patience=patience)


def plateau(optimizer):
    return ReduceLROnPlateau(optimizer, "max")
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    module = f"own_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(OWN_PLATEAUS)
    monkeypatch.syspath_prepend(tmp_path)
    return module


@pytest.mark.parametrize(("name", "mode"), [("Passes", "max"), ("Fixes", "min")])
def test_a_plateau_scheduler_of_ones_own_gets_the_direction_if_it_takes_one(
    built, own, name, mode
) -> None:
    node = f"+scheduler={{_target_: {own}.{name}, interval: epoch, patience: 2}}"
    scheduler = built("~scheduler", node, "metric=val/accuracy").updates.schedule.scheduler
    assert (scheduler.mode, scheduler.patience) == (mode, 2)


@pytest.mark.parametrize("target", ["torch.optim.lr_scheduler.ReduceLROnPlateau", "plateau"])
def test_a_plateau_scheduler_is_not_stepped_within_an_epoch(built, own, refuses, target) -> None:
    target = target if "." in target else f"{own}.{target}"
    with refuses(ConfigError, r"^scheduler\.interval=step: .*; type scheduler\.interval=epoch$"):
        built("~scheduler", f"+scheduler={{_target_: {target}, interval: step}}")


def test_one_cycle_uses_its_last_rate_in_the_last_step(built) -> None:
    experiment = built("scheduler=one_cycle", "trainer.epochs=2", "trainer.accumulate=4")
    updates, steps = experiment.updates, 2 * -(-experiment.data.steps_per_epoch // 4)
    assert updates.lr == pytest.approx(1e-3 / 25)
    updates.optimizer.step()
    for _ in range(steps - 1):
        updates.schedule.after_step()
    assert updates.lr == pytest.approx(1e-3 / 25 / 1e4)
