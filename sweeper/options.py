"""The chosen option of every group: checked as a whole first, built one after another then."""

import copy
import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from omegaconf import DictConfig
from pydantic import Field
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sweeper.data.image_data import ImageData
from sweeper.data.prepare import prepare
from sweeper.errors import ConfigError
from sweeper.losses import Adapter, class_weights
from sweeper.losses.weights import Weight
from sweeper.models.init import initialise
from sweeper.option import Option, optional, plain
from sweeper.schema import LOSS_RANGES, OPTIMIZER_RANGES, SCHEDULER_RANGES, checked
from sweeper.tracking.tracker import Tracker
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.updates import Schedule, Updates
from sweeper.training.watch_settings import WatchSettings, watched_layers

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers with one kernel for the whole update: half the time of a step of a wide network."""


@dataclass(frozen=True)
class ModelKeys:
    """What a model option says beside its target's arguments."""

    min_image_size: Annotated[int, Field(ge=1, le=4096)] = 1


@dataclass(frozen=True)
class LossKeys:
    """What a loss option says beside its target's arguments."""

    adapter: str = "sweeper.losses.ClassIndex"
    weight: Weight = None


@dataclass(frozen=True)
class SchedulerKeys:
    """What a scheduler option says beside its target's arguments."""

    interval: Literal["step", "epoch"] = "epoch"
    horizon: str | None = None


Keys = TypeVar("Keys", ModelKeys, LossKeys, SchedulerKeys)


class Options:
    """The chosen option of every group, checked but not yet built."""

    def __init__(self, cfg: DictConfig, choices: Mapping[str, str]) -> None:
        model, data, loss, scheduler = (
            plain(cfg, group) for group in ("model", "data", "loss", "scheduler")
        )
        self._min_image_size = _taken("model", ModelKeys, model).min_image_size
        self._model = Option("model", choices["model"], model)
        self._init = optional("init", choices["init"], plain(cfg, "init"))
        if self._init is not None and self._model.arguments.get("weights") is not None:
            raise ConfigError(
                f"init={self._init.name} would overwrite model.weights: use init=default"
            )

        pipeline = {key: data.pop(key) for key in _pipeline_keys() & data.keys()}
        self._source = Option("data", choices["data"], data)
        target = {"_target_": f"{prepare.__module__}.{prepare.__name__}"}
        self._prepare = Option("data", choices["data"], target | pipeline)

        keys = _taken("loss", LossKeys, loss)
        self._adapter, self._class_weight = _adapter(keys.adapter), keys.weight
        self._loss = Option("loss", choices["loss"], loss, LOSS_RANGES)

        optimizer = plain(cfg, "optimizer")
        self._optimizer = Option("optimizer", choices["optimizer"], optimizer, OPTIMIZER_RANGES)
        self._timing = _taken("scheduler", SchedulerKeys, scheduler)
        name = choices["scheduler"]
        self._scheduler = optional("scheduler", name, scheduler, SCHEDULER_RANGES)
        self.stopping = optional("stopping", choices["stopping"], plain(cfg, "stopping"))
        tracking = plain(cfg, "tracking")
        tracking.pop("study_observers", None)  # the sweeper's
        watch = checked("tracking.watch", WatchSettings, tracking.pop("watch", {}))
        self._watch = WatchSettings(**watch)
        self._tracking = Option("tracking", choices["tracking"], tracking)
        self.callbacks = [
            Option("callbacks", name, node) for name, node in plain(cfg, "callbacks").items()
        ]

    def data(
        self, settings: RunSettings, trainer: TrainerSettings, device: torch.device
    ) -> ImageData:
        """Read, split and batch the data."""
        prepared: ImageData = self._prepare(
            source=self._source(),
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
        weight = class_weights(self._class_weight, data.class_counts)
        given: dict[str, Tensor] = {} if weight is None else {"weight": weight}
        adapter: Adapter = self._adapter(self._loss(**given), len(data.classes))
        return adapter

    def model(self, input_shape: tuple[int, int, int], n_outputs: int) -> nn.Module:
        """Build the network, tell it what it will see, and fill its weights."""
        shape = {"input_shape": input_shape, "num_classes": n_outputs}
        model: nn.Module = self._model(**{k: v for k, v in shape.items() if self._model.accepts(k)})
        batch_size = self._prepare.arguments["batch_size"]
        _try_out(model, self._model, input_shape, n_outputs, batch_size)
        if self._init is not None:
            self._initialise(model, self._init)
        return model

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

    def watch(self, model: nn.Module) -> WatchSettings:
        """Return what is watched of this network, with its layers by their names."""
        names = watched_layers(model, self._watch.layers)
        return dataclasses.replace(self._watch, layers=names)

    def tracker(self, folder: Path) -> Tracker:
        """Build the tracker of a command started in `folder`."""
        given = {"folder": folder} if self._tracking.accepts("folder") else {}
        tracker: Tracker = self._tracking(**given)
        return tracker


def _pipeline_keys() -> set[str]:
    return set(inspect.signature(prepare).parameters)


def _taken(group: str, keys: type[Keys], node: dict[str, Any]) -> Keys:
    """Take out of a node what is meant for `build`, not for the target."""
    names = inspect.signature(keys).parameters.keys() & node.keys()
    return keys(**checked(group, keys, {name: node.pop(name) for name in names}))


def _adapter(path: str) -> type[Adapter]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"loss.adapter={path}: there is no such class") from error
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        raise ConfigError(f"loss.adapter={path} is no subclass of sweeper.losses.Adapter")
    return found


def _try_out(
    model: nn.Module,
    option: Option,
    input_shape: tuple[int, int, int],
    n_outputs: int,
    batch_size: int,
) -> None:
    """Run one blank image through the network, so that a misfit is found before training."""
    blank = torch.zeros(1, *input_shape)
    with torch.no_grad():
        try:
            outputs = model.eval()(blank)
            if batch_size == 1:  # batch norm over a single value fails in training alone
                copy.deepcopy(model).train()(blank)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"model={option.name} cannot take {batch_size} images of shape {input_shape}: "
                f"{reason}"
            ) from error
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if shape != (1, n_outputs):
        raise ConfigError(
            f"model={option.name} returns {shape} for one image, but (1, {n_outputs}) is needed: "
            "take num_classes in its constructor"
        )
