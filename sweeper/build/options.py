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

from sweeper.build.callback_option import built, callback_option
from sweeper.data.describe import Description, describe
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline
from sweeper.data.prepare import evaluation_pipeline, prepare
from sweeper.data.profile import Profile
from sweeper.data.source import label_type_of
from sweeper.errors import ConfigError
from sweeper.build.loss_option import LossOption, OutputShape
from sweeper.losses import Adapter
from sweeper.models.init import initialise
from sweeper.models.weights import copy_fitting
from sweeper.objectives import SIZES, LabelType, epoch_metrics, headline
from sweeper.build.option import Option, instantiated, optional, plain, taken
from sweeper.schema import ImageShape, checked
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.pretrained import read_weights
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.watch_settings import WatchSettings, watched_layers
from sweeper.build.updates_option import UpdatesOption
from sweeper.text import in_one_line

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
        self._model = Option.of_node("model", choices["model"], model)
        init = plain(cfg, "init")
        path = taken("init", InitKeys, init).weights
        self._weights = None if path is None or resumed else (read_weights(path), path)
        self._init = optional("init", choices["init"], init)

        taken("data", DataKeys, data)
        pipeline = {key: data.pop(key) for key in _pipeline_keys() & data.keys()}
        self._source = Option.of_node("data", choices["data"], data)
        self._prepare = Option(
            "data", choices["data"], prepare, instantiated("data", choices["data"], pipeline)
        )

        self._loss = LossOption(choices["loss"], loss)

        self.updates = UpdatesOption(choices, plain(cfg, "optimizer"), scheduler)
        self.stopping = optional("stopping", choices["stopping"], plain(cfg, "stopping"))
        tracking = plain(cfg, "tracking")
        tracking.pop("study_observers", None)  # the sweeper's
        self._watch = _watch(tracking.pop("watch", {}))
        self._tracking = Option.of_node("tracking", choices["tracking"], tracking)
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
        """Return what the network will see; the data is read only if its source cannot tell."""
        names = inspect.signature(describe).parameters.keys() & self._prepare.arguments.keys()
        arguments = {name: self._prepare.arguments[name] for name in names}
        description: Description = Option("data", self._source.name, describe, arguments)(
            source=self._source(), min_image_size=self._min_image_size
        )
        return description

    @property
    def batch_size(self) -> int:
        """The number of images in a training batch."""
        size: int = self._prepare.arguments["batch_size"]
        return size

    def unweighted_adapter(self, n_classes: int) -> Adapter:
        """Build the loss for so many classes, to know which outputs it needs of a network."""
        label_type = label_type_of(self._source())
        self._loss.require(label_type, self._source.name)
        return self._loss.unweighted(n_classes, label_type)

    def adapter(self, profile: Profile) -> Adapter:
        """Build the loss for the classes of the data."""
        return self._loss.build(profile)

    def model(self, adapter: Adapter, input_shape: ImageShape) -> tuple[nn.Module, OutputShape]:
        """Build the network and fill its weights; return it with the shape of its outputs.

        One blank image goes through it, so that a misfit is found before training.

        Raises:
            ConfigError: the network cannot take the images, or the loss cannot read its outputs.
        """
        shapes = {"input_shape": input_shape, "num_classes": adapter.n_outputs}
        known = {name: shape for name, shape in shapes.items() if self._model.accepts(name)}
        model: nn.Module = self._model(**known)
        outputs = _outputs_for_blank(model, self._model.name, input_shape, self.batch_size)
        output_shape = self._loss.require_readable(adapter, outputs, self._model.name)
        if self._init is not None:
            self._initialise(model, self._init)
        if self._weights is not None:
            copy_fitting(model, *self._weights)
        return model, output_shape

    def require_fit(self, adapter: Adapter, outputs: OutputShape, profile: Profile) -> None:
        """Raise ConfigError unless the loss can be computed of outputs of this shape."""
        self._loss.try_out(adapter, outputs, profile, self.batch_size, self._model.name)

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


def _pipeline_keys() -> set[str]:
    return inspect.signature(prepare).parameters.keys() - GIVEN_TO_DATA


def _outputs_for_blank(
    model: nn.Module, name: str, input_shape: ImageShape, batch_size: int
) -> object:
    """Return what the network makes of one blank image; ConfigError for one that it cannot take."""
    blank = torch.zeros(1, *input_shape)
    with torch.no_grad():
        try:
            if batch_size == 1:  # batch norm over a single value fails in training alone
                copy.deepcopy(model).train()(blank)
            return model.eval()(blank)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(
                f"model={name} cannot take {batch_size} images of shape {input_shape}: "
                f"{in_one_line(error)}"
            ) from error


def _require_measured(settings: RunSettings, label_type: LabelType, data: str) -> None:
    for name in settings.metrics:
        if name not in (*epoch_metrics(label_type), *SIZES):
            raise ConfigError(
                f"metric={name}: data={data} is measured by {', '.join(epoch_metrics(label_type))}; "
                f"type metric={headline(label_type)}"
            )
