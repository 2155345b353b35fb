"""The chosen optimizer and scheduler, which together turn losses into new weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sweeper.build.option import Option, optional, taken
from sweeper.schema import OPTIMIZER_RANGES, SCHEDULER_RANGES
from sweeper.training.finetune import parameter_groups, scale_rates
from sweeper.training.schedules import require_no_floor, require_ratios
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.updates import Schedule, Updates

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers with one kernel for the whole update: half the time of a step of a wide network."""


@dataclass(frozen=True)
class SchedulerKeys:
    """What a scheduler option says beside its target's arguments."""

    interval: Literal["step", "epoch"] = "epoch"
    horizon: str | None = None


class UpdatesOption:
    """The options of the groups `optimizer` and `scheduler`, checked but not yet built."""

    def __init__(
        self, choices: Mapping[str, str], optimizer: dict[str, Any], scheduler: dict[str, Any]
    ) -> None:
        self._optimizer = Option.of_node(
            "optimizer", choices["optimizer"], optimizer, OPTIMIZER_RANGES
        )
        self._timing = taken("scheduler", SchedulerKeys, scheduler)
        name = choices["scheduler"]
        self._scheduler = optional("scheduler", name, scheduler, SCHEDULER_RANGES)

    def __call__(
        self,
        model: nn.Module,
        batches: int,
        settings: RunSettings,
        trainer: TrainerSettings,
        device: torch.device,
    ) -> Updates:
        """Build the optimizer and its schedule over `batches` training batches an epoch."""
        with_frozen = trainer.unfreeze_at is not None
        groups = parameter_groups(model, trainer.lr_scale, with_frozen)
        given: dict[str, Any] = {"params": groups}
        if self._optimizer.target in FUSED and device.type in ("cpu", "cuda"):
            given |= {} if "fused" in self._optimizer.arguments else {"fused": True}
        optimizer = self._optimizer(**given)
        rates = scale_rates(optimizer)
        steps = -(-batches // trainer.accumulate)
        schedule = self._schedule(optimizer, steps, settings, trainer.epochs)
        if trainer.lr_scale and self._scheduler is not None:
            require_no_floor(self._scheduler.arguments)
            require_ratios(optimizer, rates, self._scheduler.name)
        return Updates(
            model,
            optimizer,
            schedule,
            scaler=torch.amp.GradScaler(device.type, enabled=trainer.precision == "fp16"),
            accumulate=trainer.accumulate,
            clip_norm=trainer.clip_norm,
            ema_decay=trainer.ema_decay,
        )

    def _schedule(
        self, optimizer: torch.optim.Optimizer, steps: int, settings: RunSettings, epochs: int
    ) -> Schedule:
        if self._scheduler is None:
            return Schedule(None)
        given: dict[str, Any] = {"optimizer": optimizer}
        horizon = None
        if self._timing.horizon is not None:
            horizon = epochs * steps if self._timing.interval == "step" else epochs
            given[self._timing.horizon] = horizon
        if self._scheduler.target is ReduceLROnPlateau:
            given["mode"] = settings.monitored_direction[:3]  # "min" or "max"
        return Schedule(self._scheduler(**given), self._timing.interval, horizon)
