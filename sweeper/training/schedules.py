"""Learning-rate schedules whose horizon needs arithmetic that torch's own leave to the caller."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    LambdaLR,
    MultiStepLR,
    OneCycleLR,
)

from sweeper.errors import ConfigError
from sweeper.schema import Fraction, Probability, UnitInterval


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: Probability, final_factor: UnitInterval
) -> LambdaLR:
    """Return a linear warm-up over a fraction of the run and a cosine from there to its end."""
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min((step - rising) / max(total_steps - rising, 1), 1.0)
        return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    pct_start: Fraction,
    anneal_strategy: Literal["cos", "linear"],
    div_factor: PositiveFloat,
    final_div_factor: PositiveFloat,
) -> OneCycleLR:
    """Return OneCycleLR up to each parameter group's own learning rate.

    Momentum is left alone, since not every optimizer has one. Source: Smith and Topin,
    "Super-Convergence" (2018).
    """
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
    """Return MultiStepLR with its milestones given as fractions of the run."""
    steps = [round(milestone * total_steps) for milestone in milestones]
    return MultiStepLR(optimizer, steps, gamma)


def cosine_warm_restarts(
    optimizer: Optimizer,
    total_steps: int,
    cycles: PositiveInt,
    t_mult: PositiveInt,
    eta_min: NonNegativeFloat,
) -> CosineAnnealingWarmRestarts:
    """Return SGDR with a first period such that `cycles` cycles fill the run.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017).
    """
    first = math.ceil(total_steps / sum(t_mult**cycle for cycle in range(cycles)))
    return CosineAnnealingWarmRestarts(optimizer, first, t_mult, eta_min)


def require_no_floor(arguments: Mapping[str, Any]) -> None:
    """Raise ConfigError for a least learning rate, at which scaled parameter groups would meet."""
    for name in ("eta_min", "min_lr"):
        if arguments.get(name):
            raise ConfigError(
                f"scheduler.{name}={arguments[name]} would be one rate for all parts of "
                f"trainer.lr_scale; type scheduler.{name}=0, or scheduler=warmup_cosine with its "
                "final_factor"
            )


def require_ratios(optimizer: Optimizer, rates: Sequence[float], scheduler: str) -> None:
    """Raise ConfigError for a scheduler that has set rates in other ratios than these.

    `rates` are those of the parameter groups before it was built.
    """
    pairs = zip(optimizer.param_groups, rates, strict=True)
    factors = [float(group["lr"]) / rate for group, rate in pairs]
    if not all(math.isclose(factor, factors[0], rel_tol=1e-6) for factor in factors):
        raise ConfigError(
            f"scheduler={scheduler} sets learning rates of its own, without trainer.lr_scale; type "
            "scheduler=one_cycle or scheduler=warmup_cosine, or trainer.lr_scale=null"
        )
