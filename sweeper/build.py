"""From a composed config to an experiment."""

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sweeper.data.image_data import ImageData
from sweeper.data.prepare import prepare
from sweeper.errors import ConfigError
from sweeper.losses import Adapter, class_weights
from sweeper.models.init import initialise
from sweeper.option import Option, optional, plain
from sweeper.schema import OPTIMIZER_RANGES, checked
from sweeper.tracking.tracker import Tracker
from sweeper.training.devices import autocast, available_device
from sweeper.training.experiment import Experiment
from sweeper.training.recompute import recompute_activations
from sweeper.training.seeding import seed_everything
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.updates import Schedule, Updates

log = logging.getLogger(__name__)

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers with one kernel for the whole update: half the time of a step of a wide network."""


def build(cfg: DictConfig, choices: Mapping[str, str], folder: Path) -> Experiment:
    """Build the experiment of a composed config.

    `choices` names the option of each group, and `folder` is where the command was started.
    Every value is checked before the data is read.

    Raises:
        ConfigError: a group, option, key or value cannot work.
        DataError: the data is missing or cannot be read.
    """
    settings = RunSettings(**checked("config", RunSettings, _root(cfg)))
    trainer = TrainerSettings(**checked("trainer", TrainerSettings, plain(cfg, "trainer")))
    device = available_device(trainer.device)
    options = Options(cfg, choices)
    experiment_autocast = autocast(device, trainer.precision)
    _configure_torch(trainer)

    data = options.data(settings, trainer, device)
    criterion = options.criterion(data).to(device)
    seed_everything(settings.seed)
    model = _placed(options.model(data.input_shape, criterion.n_outputs), trainer, device)
    return Experiment(
        settings=settings,
        trainer=trainer,
        data=data,
        model=model,
        criterion=criterion,
        updates=options.updates(model, data.steps_per_epoch, settings, trainer, device),
        stopping=options.stopping.partial() if options.stopping else None,
        device=device,
        autocast=experiment_autocast,
        tracker=options.tracker(folder),
        callbacks=tuple(callback() for callback in options.callbacks),
    )


class Options:
    """The chosen option of every group, checked but not yet built."""

    def __init__(self, cfg: DictConfig, choices: Mapping[str, str]) -> None:
        nodes = {group: plain(cfg, group) for group in ("model", "data", "loss", "scheduler")}
        self._min_image_size = nodes["model"].pop("min_image_size", 1)
        self._model = Option("model", choices["model"], nodes["model"])
        self._init = optional("init", choices["init"], plain(cfg, "init"))
        if self._init is not None and self._model.arguments.get("weights") is not None:
            raise ConfigError(
                f"init={self._init.name} would overwrite model.weights: use init=default"
            )

        pipeline = {key: nodes["data"].pop(key) for key in _pipeline_keys() & nodes["data"].keys()}
        self._source = Option("data", choices["data"], nodes["data"])
        target = {"_target_": f"{prepare.__module__}.{prepare.__name__}"}
        self._prepare = Option("data", choices["data"], target | pipeline)

        self._adapter = _located("loss.adapter", nodes["loss"].pop("adapter", None))
        self._class_weight = nodes["loss"].pop("weight", None)
        self._loss = Option("loss", choices["loss"], nodes["loss"])

        optimizer = plain(cfg, "optimizer")
        self._optimizer = Option("optimizer", choices["optimizer"], optimizer, OPTIMIZER_RANGES)
        self._interval = nodes["scheduler"].pop("interval", "epoch")
        self._horizon = nodes["scheduler"].pop("horizon", None)
        self._scheduler = optional("scheduler", choices["scheduler"], nodes["scheduler"])
        self.stopping = optional("stopping", choices["stopping"], plain(cfg, "stopping"))
        self._tracking = Option("tracking", choices["tracking"], plain(cfg, "tracking"))
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
        _try_out(model, self._model, input_shape, n_outputs)
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
        if self._horizon is not None:
            given[self._horizon] = epochs * steps if self._interval == "step" else epochs
        if self._scheduler.target is ReduceLROnPlateau:
            given["mode"] = settings.sought[:3]  # "min" or "max"
        return Schedule(self._scheduler(**given), self._interval)

    def tracker(self, folder: Path) -> Tracker:
        """Build the tracker of a command started in `folder`."""
        given = {"folder": folder} if self._tracking.accepts("folder") else {}
        tracker: Tracker = self._tracking(**given)
        return tracker


def _root(cfg: DictConfig) -> dict[str, Any]:
    """Return the values at the root of the config, without the groups."""
    return {str(key): cfg[key] for key in cfg if not isinstance(cfg[key], DictConfig)}


def _pipeline_keys() -> set[str]:
    return set(inspect.signature(prepare).parameters)


def _located(key: str, path: str | None) -> type[Adapter]:
    try:
        found: type[Adapter] = get_object(path or "")
    except (HydraException, ImportError, ValueError) as error:
        raise ConfigError(f"{key}={path}: there is no such class") from error
    return found


def _configure_torch(trainer: TrainerSettings) -> None:
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    if torch.are_deterministic_algorithms_enabled() != trainer.deterministic:
        torch.use_deterministic_algorithms(trainer.deterministic)  # imports torch._inductor
    torch.backends.cudnn.benchmark = not trainer.deterministic
    torch.set_float32_matmul_precision("high")


def _try_out(
    model: nn.Module, option: Option, input_shape: tuple[int, int, int], n_outputs: int
) -> None:
    """Run one blank image through the network, so that a misfit is found before training."""
    with torch.no_grad():
        try:
            outputs = model.eval()(torch.zeros(1, *input_shape))
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"model={option.name} cannot take an image of shape {input_shape}: {reason}"
            ) from error
    shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if shape != (1, n_outputs):
        raise ConfigError(
            f"model={option.name} returns {shape} for one image, but (1, {n_outputs}) is needed: "
            "take num_classes in its constructor"
        )


def _placed(model: nn.Module, trainer: TrainerSettings, device: torch.device) -> nn.Module:
    layout = torch.channels_last if trainer.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    if trainer.activation_checkpointing and recompute_activations(model) == 0:
        raise ConfigError(
            "trainer.activation_checkpointing=true finds no block in this model: "
            "it needs an nn.Sequential of blocks that have layers of their own"
        )
    if trainer.compile:
        model.compile()
    return model
