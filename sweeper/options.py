"""The chosen option of every group: checked as a whole first, built one after another then."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from omegaconf import DictConfig
from pydantic import Field
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sweeper.data.image_data import ImageData
from sweeper.data.prepare import prepare
from sweeper.data.source import label_type_of
from sweeper.errors import ConfigError
from sweeper.loss_option import LossOption
from sweeper.losses import Adapter
from sweeper.models.init import initialise
from sweeper.objectives import SIZES, LabelType, headline, measured
from sweeper.option import Option, optional, plain, taken
from sweeper.schema import OPTIMIZER_RANGES, SCHEDULER_RANGES
from sweeper.tracking.tracker import Tracker
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.updates import Schedule, Updates

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers with one kernel for the whole update: half the time of a step of a wide network."""


GIVEN_TO_DATA = frozenset(
    "source seed min_image_size device channels_last train_limit val_limit".split()
)
"""What the run tells `prepare`; a data option may give these names another meaning."""


@dataclass(frozen=True)
class ModelKeys:
    """What a model option says beside its target's arguments."""

    min_image_size: Annotated[int, Field(ge=1, le=4096)] = 1


@dataclass(frozen=True)
class DataKeys:
    """What a data option says beside its target's arguments, for the root of the config."""

    metric: str | None = None


@dataclass(frozen=True)
class SchedulerKeys:
    """What a scheduler option says beside its target's arguments."""

    interval: Literal["step", "epoch"] = "epoch"
    horizon: str | None = None


class Options:
    """The chosen option of every group, checked but not yet built."""

    def __init__(self, cfg: DictConfig, choices: Mapping[str, str]) -> None:
        model, data, loss, scheduler = (
            plain(cfg, group) for group in ("model", "data", "loss", "scheduler")
        )
        self._min_image_size = taken("model", ModelKeys, model).min_image_size
        self._model = Option("model", choices["model"], model)
        self._init = optional("init", choices["init"], plain(cfg, "init"))
        if self._init is not None and self._model.arguments.get("weights") is not None:
            raise ConfigError(
                f"init={self._init.name} would overwrite model.weights: use init=default"
            )

        taken("data", DataKeys, data)
        pipeline = {key: data.pop(key) for key in _pipeline_keys() & data.keys()}
        self._source = Option("data", choices["data"], data)
        target = {"_target_": f"{prepare.__module__}.{prepare.__name__}"}
        self._prepare = Option("data", choices["data"], target | pipeline)

        self._loss = LossOption(choices["loss"], loss)

        optimizer = plain(cfg, "optimizer")
        self._optimizer = Option("optimizer", choices["optimizer"], optimizer, OPTIMIZER_RANGES)
        self._timing = taken("scheduler", SchedulerKeys, scheduler)
        name = choices["scheduler"]
        self._scheduler = optional("scheduler", name, scheduler, SCHEDULER_RANGES)
        self.stopping = optional("stopping", choices["stopping"], plain(cfg, "stopping"))
        tracking = plain(cfg, "tracking")
        tracking.pop("study_observers", None)  # the sweeper's
        self._tracking = Option("tracking", choices["tracking"], tracking)
        self.callbacks = [
            Option("callbacks", name, node) for name, node in plain(cfg, "callbacks").items()
        ]

    def data(
        self, settings: RunSettings, trainer: TrainerSettings, device: torch.device
    ) -> ImageData:
        """Read, split and batch the data, once loss and metric are known to go with its labels."""
        source = self._source()
        label_type = label_type_of(source)
        self._loss.require(label_type, self._source.name)
        _require_measured(settings, label_type, self._source.name)
        prepared: ImageData = self._prepare(
            source=source,
            seed=settings.seed,
            min_image_size=self._min_image_size,
            device=device,
            channels_last=trainer.channels_last,
            train_limit=trainer.train_limit,
            val_limit=trainer.val_limit,
        )
        return prepared

    def criterion(self, data: ImageData) -> Adapter:
        """Build the loss for the classes of the data."""
        return self._loss.build(data)

    def model(self, input_shape: tuple[int, int, int], n_outputs: int) -> nn.Module:
        """Build the network, tell it what it will see, and fill its weights."""
        shape = {"input_shape": input_shape, "num_classes": n_outputs}
        model: nn.Module = self._model(**{k: v for k, v in shape.items() if self._model.accepts(k)})
        _try_out(model, self._model, input_shape, self._prepare.arguments["batch_size"])
        if self._init is not None:
            self._initialise(model, self._init)
        return model

    def require_fit(self, model: nn.Module, criterion: Adapter, data: ImageData) -> None:
        """Raise ConfigError unless the loss can be computed of what the network returns."""
        with torch.no_grad():
            outputs = model.eval()(torch.zeros(1, *data.input_shape))
        with torch.device("cpu"):
            self._loss.try_out(criterion, outputs, data, self._model.name)

    def _initialise(self, model: nn.Module, init: Option) -> None:
        try:
            initialise(model, init.partial())
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"init={init.name}: {error}") from error

    def updates(
        self,
        model: nn.Module,
        batches: int,
        settings: RunSettings,
        trainer: TrainerSettings,
        device: torch.device,
    ) -> Updates:
        """Build the optimizer and its schedule over `batches` training batches an epoch."""
        given: dict[str, Any] = {"params": model.parameters()}
        if self._optimizer.target in FUSED and device.type in ("cpu", "cuda"):
            given |= {} if "fused" in self._optimizer.arguments else {"fused": True}
        optimizer = self._optimizer(**given)
        return Updates(
            model,
            optimizer,
            self._schedule(optimizer, -(-batches // trainer.accumulate), settings, trainer.epochs),
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
            given["mode"] = settings.sought[:3]  # "min" or "max"
        return Schedule(self._scheduler(**given), self._timing.interval, horizon)

    def tracker(self, folder: Path) -> Tracker:
        """Build the tracker of a command started in `folder`."""
        given = {"folder": folder} if self._tracking.accepts("folder") else {}
        tracker: Tracker = self._tracking(**given)
        return tracker


def _pipeline_keys() -> set[str]:
    return inspect.signature(prepare).parameters.keys() - GIVEN_TO_DATA


def _try_out(
    model: nn.Module, option: Option, input_shape: tuple[int, int, int], batch_size: int
) -> None:
    """Run one blank image through the network, so that a misfit is found before training."""
    blank = torch.zeros(1, *input_shape)
    with torch.no_grad():
        try:
            model.eval()(blank)
            if batch_size == 1:  # batch norm over a single value fails in training alone
                copy.deepcopy(model).train()(blank)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"model={option.name} cannot take {batch_size} images of shape {input_shape}: "
                f"{reason}"
            ) from error


def _require_measured(settings: RunSettings, label_type: LabelType, data: str) -> None:
    for name in settings.metrics:
        if name not in (*measured(label_type), *SIZES):
            raise ConfigError(
                f"metric={name}: data={data} is measured by {', '.join(measured(label_type))}; "
                f"type metric={headline(label_type)}"
            )
