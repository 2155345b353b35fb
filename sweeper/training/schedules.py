"""Learning-rate schedules in fractions of a run, and the checks that go with `trainer.lr_scale`.

torch's own schedulers count in steps, so the number of steps must be computed first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    LambdaLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from sweeper.errors import ConfigError
from sweeper.schema import Fraction, Probability, UnitInterval
from sweeper.training.updates import Schedule


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: Probability, final_factor: UnitInterval
) -> LambdaLR:
    """Return a linear warm-up followed by a cosine decay.

    The warm-up takes the fraction `warmup` of the run. The rate ends at `final_factor` times the
    optimizer's rate.
    """
    warmup_steps = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        progress = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
        return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    pct_start: Fraction,
    anneal_strategy: Literal["cos", "linear"],
    div_factor: PositiveFloat,
    final_div_factor: PositiveFloat,
) -> OneCycleLR:
    """Return a OneCycleLR whose maximum is the learning rate of each parameter group.

    Momentum is not cycled, since not every optimizer has one. Source: Smith and Topin,
    "Super-Convergence" (2018).
    """
    if pct_start * total_steps == 1.0:  # torch would divide by the length of the way up, here 0
        pct_start *= 1 - 1e-9
    return OneCycleLR(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy=anneal_strategy,
        cycle_momentum=False,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )


def multistep(
    optimizer: Optimizer, total_steps: int, milestones: list[Fraction], gamma: PositiveFloat
) -> MultiStepLR:
    """Return a MultiStepLR with milestones in fractions of the run."""
    steps = [round(milestone * total_steps) for milestone in milestones]
    return MultiStepLR(optimizer, steps, gamma)


def cosine_warm_restarts(
    optimizer: Optimizer,
    total_steps: int,
    cycles: PositiveInt,
    t_mult: PositiveInt,
    eta_min: NonNegativeFloat,
) -> CosineAnnealingWarmRestarts:
    """Return a CosineAnnealingWarmRestarts whose `cycles` cycles fill the run.

    A cycle may end between two steps; the next step then continues the cycle after it.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017).
    """
    scheduler = CosineAnnealingWarmRestarts(optimizer, 1, t_mult, eta_min)
    period = total_steps / sum(t_mult**cycle for cycle in range(cycles))
    period *= 1 - 1e-9  # or a rounding error could put off a restart by a step
    # torch's constructor takes whole periods only, which would end after a run of few steps.
    scheduler.load_state_dict(scheduler.state_dict() | {"T_0": period, "T_i": period})
    return scheduler


def require_no_minimum_rate(arguments: Mapping[str, Any]) -> None:
    """Check that a scheduler has no minimum learning rate.

    All parameter groups would end at the same minimum, whatever their `lr_scale`.

    Raises:
        ConfigError: the scheduler's arguments set `eta_min` or `min_lr`.
    """
    for name in ("eta_min", "min_lr"):
        if arguments.get(name):
            raise ConfigError(
                f"scheduler.{name}={arguments[name]}: trainer.lr_scale cannot scale a minimum "
                f"learning rate; type scheduler.{name}=0, or scheduler=warmup_cosine with its "
                "final_factor"
            )


def require_same_ratios(
    optimizer: Optimizer, rates: Sequence[float], scheduler: str, when: str = ""
) -> None:
    """Check that a scheduler keeps the ratios between the rates of the parameter groups.

    rates: the learning rates of the groups before the scheduler was built.
    when: the time of the check, for the message; at the start by default.

    Raises:
        ConfigError: the ratios have changed.
    """
    pairs = zip(optimizer.param_groups, rates, strict=True)
    factors = [float(group["lr"]) / rate for group, rate in pairs]
    if not all(math.isclose(f, factors[0], rel_tol=1e-6, abs_tol=1e-9) for f in factors):
        raise ConfigError(
            f"scheduler={scheduler} sets its own learning rates{when} and ignores "
            "trainer.lr_scale; type scheduler=one_cycle or scheduler=warmup_cosine, or "
            "trainer.lr_scale=null"
        )


def rehearse(
    optimizer: Optimizer,
    make_schedule: Callable[[Optimizer], Schedule],
    epochs: int,
    steps_per_epoch: int,
    scheduler: str,
) -> None:
    """Go through the schedule of a run on a copy of the optimizer without its parameters.

    A scheduler of one's own may have a minimum learning rate of any name, which shows only when it
    is reached. The metric is constant, so that a scheduler that waits for a plateau finds one.

    Raises:
        ConfigError: the schedule changes the ratios between the rates of the parameter groups.
    """
    groups = [
        {**group, "params": [torch.zeros(1, device="cpu", requires_grad=True)]}
        for group in optimizer.param_groups
    ]
    copy = torch.optim.SGD(groups, lr=1.0)
    rates = [float(group["lr"]) for group in copy.param_groups]
    schedule = make_schedule(copy)
    if isinstance(schedule.scheduler, ReduceLROnPlateau):
        schedule.scheduler.eps = 0.0  # or it stops to reduce a rate that is practically zero
    require_same_ratios(copy, rates, scheduler)
    for epoch in range(1, epochs + 1):
        for _ in range(steps_per_epoch if schedule.interval == "step" else 1):
            copy.step()  # torch warns of a scheduler that steps before its optimizer
            schedule.after_step()
            require_same_ratios(copy, rates, scheduler, f" in epoch {epoch}")
        schedule.after_epoch(0.5)
        require_same_ratios(copy, rates, scheduler, f" after epoch {epoch}")
