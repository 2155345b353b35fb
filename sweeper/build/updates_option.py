"""The options of the groups `optimizer` and `scheduler`, built into the updates of a run."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from sweeper.build.option import Option, Trust, option_or_none, pop_keys, require_kind
from sweeper.errors import ConfigError
from sweeper.schema import OPTIMIZER_RANGES, SCHEDULER_RANGES
from sweeper.training.finetune import parameter_groups, scale_rates
from sweeper.training.muon import output_weight
from sweeper.training.schedules import rehearse, require_no_minimum_rate
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.updates import Schedule, Updates

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers with a fused kernel, which halves the time of a step of a wide network."""

IMPLEMENTATIONS = {"fused", "foreach", "differentiable"}
"""Arguments that choose an implementation; torch refuses most combinations of them."""


@dataclass(frozen=True)
class SchedulerKeys:
    """The keys of a scheduler option that are not arguments of its target."""

    interval: Literal["step", "epoch"] = "epoch"
    horizon: str | None = None
    """The argument of the target that takes the length of the run in intervals."""


class UpdatesOption:
    """The options of the groups `optimizer` and `scheduler`, checked but not yet built.

    Raises:
        ConfigError: a target is not found, or an argument does not suit its signature or is one
            that the run sets.
    """

    def __init__(
        self,
        choices: Mapping[str, str],
        optimizer: dict[str, Any],
        scheduler: dict[str, Any],
        trust: Trust,
    ) -> None:
        self._optimizer = Option.of_node(
            "optimizer", choices["optimizer"], optimizer, OPTIMIZER_RANGES, trust=trust
        )
        self._scheduler_keys = pop_keys("scheduler", SchedulerKeys, scheduler)
        name = choices["scheduler"]
        self._scheduler = option_or_none(
            "scheduler", name, scheduler, SCHEDULER_RANGES, trust=trust
        )
        horizon = self._scheduler_keys.horizon
        if self._scheduler is not None and horizon in self._scheduler.arguments:
            raise ConfigError(
                f"scheduler.{horizon}: scheduler={name} ends with the run, whose length this "
                "argument gets; leave it out, or type scheduler.horizon=null to set it yourself"
            )

    def build(
        self,
        model: nn.Module,
        batches: int,
        settings: RunSettings,
        trainer: TrainerSettings,
        device: torch.device,
    ) -> Updates:
        """Build the optimizer and its schedule for epochs of `batches` training batches.

        Raises:
            ConfigError: a target fails with its arguments, the optimizer needs a closure, or the
                scheduler ignores `lr_scale` or would watch the metric after every step.
        """
        with_frozen = trainer.unfreeze_at is not None
        groups = parameter_groups(model, trainer.lr_scale, with_frozen)
        arguments: dict[str, Any] = {"params": groups}
        has_kernel = self._optimizer.target in FUSED and device.type in ("cpu", "cuda")
        if has_kernel and not IMPLEMENTATIONS & self._optimizer.arguments.keys():
            arguments["fused"] = True
        if self._optimizer.accepts("output_weight"):
            arguments["output_weight"] = output_weight(model)
        optimizer = self._optimizer(**arguments)
        require_kind(optimizer, torch.optim.Optimizer, self._optimizer)
        _require_step_without_closure(optimizer, self._optimizer.name)
        scale_rates(optimizer)
        steps_per_epoch = -(-batches // trainer.accumulate)

        def make_schedule(optimizer: torch.optim.Optimizer) -> Schedule:
            return self._schedule(optimizer, steps_per_epoch, settings, trainer.epochs)

        if trainer.lr_scale and self._scheduler is not None:
            require_no_minimum_rate(self._scheduler.arguments)
            rehearse(
                optimizer, make_schedule, trainer.epochs, steps_per_epoch, self._scheduler.name
            )
        schedule = make_schedule(optimizer)
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
        self,
        optimizer: torch.optim.Optimizer,
        steps_per_epoch: int,
        settings: RunSettings,
        epochs: int,
    ) -> Schedule:
        if self._scheduler is None:
            return Schedule(None)
        interval, horizon_key = self._scheduler_keys.interval, self._scheduler_keys.horizon
        arguments: dict[str, Any] = {"optimizer": optimizer}
        horizon = None
        if horizon_key is not None:
            horizon = epochs * steps_per_epoch if interval == "step" else epochs
            arguments[horizon_key] = horizon
        if _takes_mode(self._scheduler.target):
            arguments["mode"] = settings.monitored_direction[:3]  # "min" or "max"
        scheduler = self._scheduler(**arguments)
        require_kind(scheduler, LRScheduler, self._scheduler)
        if interval == "step" and isinstance(scheduler, ReduceLROnPlateau):
            raise ConfigError(
                f"scheduler.interval=step: scheduler={self._scheduler.name} watches the metric, "
                "which is measured once an epoch; type scheduler.interval=epoch"
            )
        return Schedule(scheduler, interval, horizon)


def _require_step_without_closure(optimizer: torch.optim.Optimizer, name: str) -> None:
    """Check that an optimizer needs nothing but the gradients of a batch.

    Raises:
        ConfigError: it computes the loss several times, as LBFGS does.
    """
    try:
        inspect.signature(optimizer.step).bind()
    except TypeError as error:
        raise ConfigError(
            f"optimizer={name}: a step of {type(optimizer).__name__} needs a closure, which "
            "computes the loss again; type optimizer=adam, or another one that needs none"
        ) from error


def _takes_mode(target: Callable[..., Any]) -> bool:
    """Return whether a target is a plateau scheduler that takes the metric's direction as `mode`.

    A subclass of one's own may fix its direction.
    """
    if not (isinstance(target, type) and issubclass(target, ReduceLROnPlateau)):
        return False
    parameters = inspect.signature(target).parameters.values()
    return any(each.name == "mode" or each.kind is each.VAR_KEYWORD for each in parameters)
