"""The chosen options of all groups: checked all at once, built one by one when they are needed."""

import copy
import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sweeper.build.callback_option import build_callback, callback_option
from sweeper.build.init_option import InitOption
from sweeper.build.loss_option import LossOption, OutputShape
from sweeper.build.option import (
    Option,
    PlainOrConfig,
    Trust,
    instantiated,
    option_or_none,
    plain_node,
    pop_keys,
    reason_of,
    require_kind,
    trust_all,
)
from sweeper.build.updates_option import UpdatesOption
from sweeper.data.describe import Description, describe
from sweeper.data.file_source import FileSource
from sweeper.data.image_data import ImageData
from sweeper.data.image_files import FileImages, FilePhotographs
from sweeper.data.inputs import Inputs
from sweeper.data.pipeline import Pipeline
from sweeper.data.prepare import evaluation_files, evaluation_pipeline, prepare
from sweeper.data.profile import Profile
from sweeper.data.recognised import require_new_targets
from sweeper.data.source import Source, label_type_of
from sweeper.errors import ConfigError, SweeperError
from sweeper.losses import Adapter
from sweeper.objectives import METRICS, SIZES, LabelType, epoch_metrics, headline
from sweeper.schema import ImageShape, checked
from sweeper.text import near_names
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.watch_settings import WatchSettings, watched_layers

RUN_ARGUMENTS = frozenset(
    ["source", "seed", "min_image_size", "device", "channels_last"]
    + ["train_limit", "val_limit", "test_limit"]
)
"""The arguments of `prepare` that the run provides. In a data option these names may be arguments
of its target."""


@dataclass(frozen=True)
class ModelKeys:
    """The keys of a model option that are not arguments of its target."""

    min_image_size: Annotated[int, Field(ge=1, le=4096)] = 1


@dataclass(frozen=True)
class DataKeys:
    """The keys of a data option that only the root of the config refers to."""

    metric: str | None = None


class Options:
    """The chosen options of all groups, checked but not yet built.

    A `resumed` run does not read the file of `init.weights`.
    `trust` raises an error for a target that this config may not call.

    Raises:
        ConfigError: an option, key or value cannot work.
    """

    def __init__(
        self,
        cfg: PlainOrConfig,
        choices: Mapping[str, str],
        resumed: bool = False,
        trust: Trust = trust_all,
    ) -> None:
        model, data, loss, scheduler = (
            plain_node(cfg, group) for group in ("model", "data", "loss", "scheduler")
        )
        self._min_image_size = pop_keys("model", ModelKeys, model).min_image_size
        self._model = Option.of_node("model", choices["model"], model, trust=trust)
        self._init = InitOption(choices, plain_node(cfg, "init"), resumed, trust)

        pop_keys("data", DataKeys, data)
        pipeline = {key: data.pop(key) for key in _pipeline_keys() & data.keys()}
        self._source = Option.of_node("data", choices["data"], data, trust=trust)
        for key in ("train_transform", "eval_transform"):
            require_new_targets(pipeline.get(key), f"data.{key}")
        arguments = instantiated("data", choices["data"], pipeline, trust)
        self._prepare = Option("data", choices["data"], prepare, arguments)

        self._loss = LossOption(choices["loss"], loss, trust)

        self.updates = UpdatesOption(choices, plain_node(cfg, "optimizer"), scheduler, trust)
        stopping = plain_node(cfg, "stopping")
        self.stopping = option_or_none("stopping", choices["stopping"], stopping, trust=trust)
        tracking = plain_node(cfg, "tracking")
        tracking.pop("study_observers", None)  # for the parent run of a study
        self._watch = _watch_settings(tracking.pop("watch", {}))
        self._tracking = Option.of_node("tracking", choices["tracking"], tracking, trust=trust)
        self._callbacks = [
            callback_option(*named, trust) for named in plain_node(cfg, "callbacks").items()
        ]

    def data(
        self, settings: RunSettings, trainer: TrainerSettings, device: torch.device
    ) -> ImageData:
        """Check that loss and metrics fit the type of the labels; then read and split the data.

        Raises:
            DataError: the data is missing or cannot be read.
            ConfigError: the loss, a metric or a setting does not fit the data.
        """
        source = self._source()
        label_type = label_type_of(source)
        self._loss.require_label_type(label_type, self._source.name)
        _require_epoch_metrics(settings, label_type, self._source.name)
        prepared: ImageData = self._prepare(
            source=source,
            seed=settings.seed,
            min_image_size=self._min_image_size,
            device=device,
            channels_last=self.channels_last(trainer, device),
            train_limit=trainer.train_limit,
            val_limit=trainer.val_limit,
            test_limit=trainer.test_limit,
        )
        if trainer.overfit:
            prepared = dataclasses.replace(prepared, train_pipeline=prepared.eval_pipeline)
        if self._loss.is_per_image:
            return prepared
        return dataclasses.replace(prepared, eval_batch_size=prepared.batch_size)

    def pipeline(
        self, profile: Profile, trainer: TrainerSettings, device: torch.device
    ) -> Pipeline:
        """Build the transforms from decoded images to the network's input, as for evaluation."""
        return evaluation_pipeline(
            profile,
            self._inputs,
            reads_files=isinstance(self._source(), FileSource),
            device=device,
            channels_last=self.channels_last(trainer, device),
        )

    def files(self, paths: Sequence[Path], profile: Profile) -> FileImages | FilePhotographs:
        """Return image files, decoded as the pipeline for evaluation takes them.

        Raises:
            DataError: the images of the data had another number of channels than files have.
        """
        reads_files = isinstance(self._source(), FileSource)
        return evaluation_files(paths, profile, self._inputs, reads_files)

    @property
    def _inputs(self) -> Inputs:
        arguments = self._prepare.arguments
        names = inspect.signature(Inputs.of).parameters.keys() & arguments.keys()
        return Inputs.of(
            source=self._source.name,
            min_image_size=self._min_image_size,
            **{name: arguments[name] for name in names},
        )

    def channels_last(self, trainer: TrainerSettings, device: torch.device) -> bool:
        """Return whether images and weights are in the memory format channels_last.

        The default is a rule and no measurement, so that the same command gives the same numbers.
        With fp32 on one core, the networks with convolutions train 1.0 to 1.4 times as fast with
        it, and are evaluated 1.1 to 2.1 times as fast, except `resnet50` (0.95 and 0.83); `mlp` is
        as fast (`benchmarks/memory_format.py`).
        """
        if trainer.channels_last == "auto":
            is_slower = getattr(self._model.target, "slow_channels_last", False)
            return device.type == "cpu" and not is_slower
        return trainer.channels_last

    def source(self) -> Source:
        """Build the data set, which reads nothing yet."""
        source: Source = self._source()
        return source

    def describe(self) -> Description:
        """Return the shape of the network's input and the number of classes.

        The data is read only if its source cannot describe itself.
        """
        description: Description = Option("data", self._source.name, describe, {})(
            source=self._source(), inputs=self._inputs
        )
        return description

    @property
    def batch_size(self) -> int:
        """The number of images in a training batch."""
        size: int = self._prepare.arguments["batch_size"]
        return size

    def unweighted_adapter(self, n_classes: int) -> Adapter:
        """Build the adapter for a number of classes, without class weights.

        It needs no data, and tells which outputs the network must have.

        Raises:
            ConfigError: the loss does not fit the type of the data's labels.
        """
        label_type = label_type_of(self._source())
        self._loss.require_label_type(label_type, self._source.name)
        return self._loss.build_unweighted(n_classes, label_type)

    def adapter(self, profile: Profile) -> Adapter:
        """Build the adapter for the classes of the data.

        Raises:
            ConfigError: class weights do not fit the classes, or the criterion accepts none.
        """
        return self._loss.build(profile)

    def model(self, adapter: Adapter, input_shape: ImageShape) -> tuple[nn.Module, OutputShape]:
        """Build the network and initialise its weights; return it with the shape of its outputs.

        A blank image is passed through the network to check it before training.

        Raises:
            ConfigError: the network cannot take the images, or the loss cannot read its outputs.
        """
        shapes = {"input_shape": input_shape, "num_classes": adapter.n_outputs}
        arguments = {name: shape for name, shape in shapes.items() if self._model.accepts(name)}
        model: nn.Module = self._model(**arguments)
        require_kind(model, nn.Module, self._model)
        outputs = _outputs_for_blank(model, self._model.name, input_shape, self.batch_size)
        output_shape = self._loss.checked_output_shape(adapter, outputs, self._model.name)
        self._init.apply(model)
        return model, output_shape

    def require_computable_loss(
        self, adapter: Adapter, outputs: OutputShape, profile: Profile
    ) -> None:
        """Check that the loss can be computed from outputs of this shape and the data's labels.

        Raises:
            ConfigError: it cannot, or the batches are too small.
        """
        self._loss.require_computable(adapter, outputs, profile, self.batch_size, self._model.name)

    def callbacks(self) -> tuple[Callback, ...]:
        """Build the user's own callbacks.

        Raises:
            ConfigError: a target fails, or returns something other than a callback.
        """
        return tuple(build_callback(option) for option in self._callbacks)

    def watch(self, model: nn.Module) -> WatchSettings:
        """Return the settings of `tracking.watch`, with patterns replaced by names of layers.

        Raises:
            ConfigError: a pattern matches no layer of the network.
        """
        names = watched_layers(model, self._watch.layers)
        return dataclasses.replace(self._watch, layers=names)

    def tracker(self, folder: Path) -> Tracker:
        """Build the tracker; `folder` is where the command was started."""
        arguments = {"folder": folder} if self._tracking.accepts("folder") else {}
        tracker: Tracker = self._tracking(**arguments)
        if not hasattr(tracker, "log_metrics"):
            raise ConfigError(
                f"{self._tracking}: returns no tracker; choose one with tracking=NAME"
            )
        return tracker


def _watch_settings(node: object) -> WatchSettings:
    if not isinstance(node, dict):
        raise ConfigError(
            f"tracking.watch={'null' if node is None else node}: it is a group of keys; type "
            "tracking.watch.layers=auto, or another key of conf/watch.yaml"
        )
    return WatchSettings(**checked("tracking.watch", WatchSettings, node))


def _pipeline_keys() -> set[str]:
    """Return the keys of a data option that are arguments of `prepare`."""
    return inspect.signature(prepare).parameters.keys() - RUN_ARGUMENTS


def _outputs_for_blank(
    model: nn.Module, name: str, input_shape: ImageShape, batch_size: int
) -> object:
    """Return the outputs of the network for one blank image, with the network in evaluation mode.

    Raises:
        ConfigError: the network cannot take the image.
    """
    image = torch.zeros(1, *input_shape)
    with torch.no_grad():
        try:
            if batch_size == 1:  # batch norm over a single value fails in training mode only
                copy.deepcopy(model).train()(image)
            return model.eval()(image)
        except SweeperError:
            raise
        except Exception as error:  # the network may be anyone's
            raise ConfigError(
                f"model={name} cannot take {batch_size} images of shape {input_shape}: "
                f"{reason_of(error)}"
            ) from error


def _require_epoch_metrics(settings: RunSettings, label_type: LabelType, data: str) -> None:
    """Check that all metrics of the run are measured for labels of this type.

    Raises:
        ConfigError: a metric is not; the message lists those that are.
    """
    measured = epoch_metrics(label_type)
    for name in settings.metrics:
        if name in (*measured, *SIZES):
            continue
        near = _near_metric(name, measured)
        if name not in METRICS and near is not None:
            raise ConfigError(
                f"metric={name}: data={data} has no such metric; did you mean {near}?"
            )
        raise ConfigError(
            f"metric={name}: data={data} is measured by {', '.join(measured)}; "
            f"type metric={headline(label_type)}"
        )


def _near_metric(name: str, measured: Sequence[str]) -> str | None:
    """Return the metric whose measure is similar, or begins alike; of the validation by default."""
    split, _, measure = name.rpartition("/")
    names = {each.rpartition("/")[2] for each in measured}
    begins = [each for each in sorted(names) if measure and each.startswith(measure.lower())]
    near = begins or near_names(measure, names)
    if near:
        return f"{split}/{near[0]}" if f"{split}/{near[0]}" in measured else f"val/{near[0]}"
    return next(iter(near_names(name, SIZES)), None)
