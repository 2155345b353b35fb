"""The chosen option of every group: checked as a whole first, built one after another then."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from omegaconf import DictConfig
from pydantic import Field
from torch import nn

from sweeper.callback_option import built, callback_option
from sweeper.data.describe import Description, describe
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline, Shape
from sweeper.data.prepare import evaluation_pipeline, prepare
from sweeper.data.profile import Profile
from sweeper.data.source import label_type_of
from sweeper.errors import ConfigError
from sweeper.loss_option import LossOption
from sweeper.losses import Adapter
from sweeper.models.init import initialise
from sweeper.models.weights import copy_fitting
from sweeper.objectives import SIZES, LabelType, headline, measured
from sweeper.option import Option, optional, plain, taken
from sweeper.schema import checked
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.pretrained import read_weights
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.watch_settings import WatchSettings, watched_layers
from sweeper.updates_option import UpdatesOption

GIVEN_TO_DATA = frozenset(
    ["source", "seed", "min_image_size", "device", "channels_last", "train_limit", "val_limit"]
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
class InitKeys:
    """What an init option says beside its target's arguments."""

    weights: str | None = None


class Options:
    """The chosen option of every group, checked but not yet built.

    A `resumed` run has weights already: it needs no file to start from.
    """

    def __init__(self, cfg: DictConfig, choices: Mapping[str, str], resumed: bool = False) -> None:
        model, data, loss, scheduler = (
            plain(cfg, group) for group in ("model", "data", "loss", "scheduler")
        )
        self._min_image_size = taken("model", ModelKeys, model).min_image_size
        self._model = Option("model", choices["model"], model)
        init = plain(cfg, "init")
        path = taken("init", InitKeys, init).weights
        self._weights = None if path is None or resumed else (read_weights(path), path)
        self._init = optional("init", choices["init"], init)

        taken("data", DataKeys, data)
        pipeline = {key: data.pop(key) for key in _pipeline_keys() & data.keys()}
        self._source = Option("data", choices["data"], data)
        self._prepare = _of_data(prepare, choices["data"], pipeline)
        self._pipeline = pipeline

        self._loss = LossOption(choices["loss"], loss)

        self.updates = UpdatesOption(choices, plain(cfg, "optimizer"), scheduler)
        self.stopping = optional("stopping", choices["stopping"], plain(cfg, "stopping"))
        tracking = plain(cfg, "tracking")
        tracking.pop("study_observers", None)  # the sweeper's
        self._watch = _watch(tracking.pop("watch", {}))
        self._tracking = Option("tracking", choices["tracking"], tracking)
        self._callbacks = [callback_option(*named) for named in plain(cfg, "callbacks").items()]

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

    def pipeline(
        self, profile: Profile, trainer: TrainerSettings, device: torch.device
    ) -> Pipeline:
        """Build what makes the network's input of an image that the data does not hold."""
        arguments = self._prepare.arguments
        return evaluation_pipeline(
            profile,
            transform=arguments["eval_transform"],
            image_size=arguments["image_size"],
            min_image_size=self._min_image_size,
            device=device,
            channels_last=trainer.channels_last,
        )

    def describe(self) -> Description:
        """Tell what the network will see; the data is read only if its source cannot tell."""
        known = inspect.signature(describe).parameters.keys() & self._pipeline.keys()
        pipeline = {key: self._pipeline[key] for key in known}
        told: Description = _of_data(describe, self._source.name, pipeline)(
            source=self._source(), min_image_size=self._min_image_size
        )
        return told

    @property
    def batch_size(self) -> int:
        """Images a training batch."""
        size: int = self._prepare.arguments["batch_size"]
        return size

    def reader(self, n_classes: int) -> Adapter:
        """Build the loss for so many classes, to know what it asks of a network."""
        label_type = label_type_of(self._source())
        self._loss.require(label_type, self._source.name)
        return self._loss.reader(n_classes, label_type)

    def criterion(self, profile: Profile) -> Adapter:
        """Build the loss for the classes of the data."""
        return self._loss.build(profile)

    def model(self, input_shape: tuple[int, int, int], n_outputs: int) -> nn.Module:
        """Build the network, tell it what it will see, and fill its weights."""
        shape = {"input_shape": input_shape, "num_classes": n_outputs}
        model: nn.Module = self._model(**{k: v for k, v in shape.items() if self._model.accepts(k)})
        _try_out(model, self._model, input_shape, self.batch_size)
        if self._init is not None:
            self._initialise(model, self._init)
        if self._weights is not None:
            copy_fitting(model, *self._weights)
        return model

    def require_fit(self, model: nn.Module, criterion: Adapter, profile: Profile) -> None:
        """Raise ConfigError unless the loss can be computed of what the network returns."""
        self._loss.require_batch(criterion, self.batch_size)
        with torch.no_grad():
            outputs = model.eval()(torch.zeros(1, *profile.input_shape))
        with torch.device("cpu"):
            self._loss.try_out(criterion, outputs, profile, self._model.name)

    def require_readable(self, model: nn.Module, reader: Adapter, shape: Shape) -> None:
        """Raise ConfigError unless the loss can read what the network returns for an image."""
        with torch.no_grad():
            outputs = model.eval()(torch.zeros(1, *shape))
        self._loss.require_readable(reader, outputs, self._model.name)

    def _initialise(self, model: nn.Module, init: Option) -> None:
        try:
            initialise(model, init.partial())
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"init={init.name}: {error}") from error

    def callbacks(self) -> tuple[Callback, ...]:
        """Build the user's own callbacks."""
        return tuple(built(option) for option in self._callbacks)

    def watch(self, model: nn.Module) -> WatchSettings:
        """Return what is watched of this network, with its layers by their names."""
        names = watched_layers(model, self._watch.layers)
        return dataclasses.replace(self._watch, layers=names)

    def tracker(self, folder: Path) -> Tracker:
        """Build the tracker of a command started in `folder`."""
        given = {"folder": folder} if self._tracking.accepts("folder") else {}
        tracker: Tracker = self._tracking(**given)
        return tracker


def _watch(node: object) -> WatchSettings:
    if not isinstance(node, dict):
        raise ConfigError(
            f"tracking.watch={'null' if node is None else node}: it is a group of keys; type "
            "tracking.watch.layers=auto, or another key of conf/watch.yaml"
        )
    return WatchSettings(**checked("tracking.watch", WatchSettings, node))


def _of_data(target: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Option:
    """Return a function of this package as if the data's option named it."""
    node = {"_target_": f"{target.__module__}.{target.__qualname__}"}
    return Option("data", name, node | dict(arguments))


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
