"""The chosen options of all groups: checked all at once, built one by one when they are needed."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from sweeper.build.callback_option import build_callback, callback_option
from sweeper.build.data_option import DataOption
from sweeper.build.epoch_metrics import require_epoch_metrics
from sweeper.build.init_option import InitOption
from sweeper.build.loss_option import LossOption, OutputShape
from sweeper.build.model_option import ModelOption
from sweeper.build.option import (
    SEARCH,
    Option,
    PlainOrConfig,
    Trust,
    option_or_none,
    plain_mapping,
    plain_node,
)
from sweeper.build.updates_option import UpdatesOption
from sweeper.data.image_data import ImageData
from sweeper.data.profile import Profile
from sweeper.data.source import label_type_of
from sweeper.errors import ConfigError
from sweeper.losses import Adapter
from sweeper.schema import ImageShape, checked
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.stopping import Curves
from sweeper.training.watch_settings import WatchSettings, watched_layers


class Options:
    """The chosen options of all groups, checked but not yet built.

    A `resumed` run does not read the file of `init.weights`.
    `trust` raises an error for a target that this config may not call.

    Raises:
        ConfigError: an option, key or value cannot work.
    """

    def __init__(
        self, cfg: PlainOrConfig, choices: Mapping[str, str], resumed: bool, trust: Trust
    ) -> None:
        model, data, loss, scheduler = (
            plain_node(cfg, group) for group in ("model", "data", "loss", "scheduler")
        )
        self._model = ModelOption(choices["model"], model, trust)
        self._init = InitOption(choices, plain_node(cfg, "init"), resumed, trust)
        self.data_option = DataOption(choices["data"], data, self._model.min_image_size, trust)
        self._loss = LossOption(choices["loss"], loss, trust)
        self.updates = UpdatesOption(choices, plain_node(cfg, "optimizer"), scheduler, trust)
        stopping = plain_node(cfg, "stopping")
        self.stopping = option_or_none("stopping", choices["stopping"], stopping, trust=trust)
        if self.stopping is not None:
            self.stopping.require_all(Curves((), (), ()), key="+stopping.KEY")
        tracking = plain_node(cfg, "tracking")
        tracking.pop("study_observers", None)  # for the parent run of a study
        self._watch = _watch_settings(tracking.pop("watch", {}))
        self._tracking = Option.of_node("tracking", choices["tracking"], tracking, trust=trust)
        self._callbacks = [
            callback_option(name, node, trust)
            for name, node in plain_mapping(cfg, "callbacks").items()
            if name != SEARCH or not isinstance(node, dict) or "_target_" in node
        ]

    def data(
        self, settings: RunSettings, trainer: TrainerSettings, device: torch.device
    ) -> ImageData:
        """Check that loss and metrics fit the type of the labels; then read and split the data.

        Raises:
            DataError: the data is missing or cannot be read.
            ConfigError: the loss, a metric or a setting does not fit the data.
        """
        source = self.data_option.source()
        label_type = label_type_of(source)
        self._loss.require_label_type(label_type, self.data_option.name)
        require_epoch_metrics(settings.metrics, label_type, self.data_option.name)
        is_last = self.channels_last(trainer, device)
        prepared = self.data_option.prepared(source, settings.seed, trainer, device, is_last)
        if trainer.overfit:
            prepared = dataclasses.replace(prepared, train_pipeline=prepared.eval_pipeline)
        if self._loss.is_per_image:
            return prepared
        return dataclasses.replace(prepared, eval_batch_size=prepared.batch_size)

    def channels_last(self, trainer: TrainerSettings, device: torch.device) -> bool:
        """Return whether images are in the memory format channels_last, and weights if they can be.

        The default is a rule and no measurement, so that the same command gives the same numbers.
        With fp32 on one core, the networks with convolutions train 1.0 to 1.4 times as fast with
        it, and are evaluated 1.1 to 2.1 times as fast, except `resnet50` (0.95 and 0.83); `mlp` is
        as fast (`benchmarks/memory_format.py`).
        """
        if trainer.channels_last == "auto":
            return device.type == "cpu" and not self._model.slow_channels_last
        return trainer.channels_last

    def weights_channels_last(
        self, model: nn.Module, trainer: TrainerSettings, device: torch.device
    ) -> bool:
        """Return whether the weights of a network are in the memory format channels_last.

        torch knows the format only for tensors of four dimensions, and `auto` leaves it out if a
        tensor has five, such as the weights of a Conv3d.

        Raises:
            ConfigError: the format was typed, and a tensor has five dimensions.
        """
        if not self.channels_last(trainer, device):
            return False
        tensors = (*model.named_parameters(), *model.named_buffers())
        name = next((name for name, tensor in tensors if tensor.ndim == 5), None)
        if name is not None and trainer.channels_last is True:
            raise ConfigError(
                f"trainer.channels_last=true: {name} of the network has five dimensions, and the "
                "format is for four; type trainer.channels_last=auto"
            )
        return name is None

    def unweighted_adapter(self, n_classes: int) -> Adapter:
        """Build the adapter for a number of classes, without class weights.

        It needs no data, and tells which outputs the network must have.

        Raises:
            ConfigError: the loss does not fit the type of the data's labels.
        """
        label_type = label_type_of(self.data_option.source())
        self._loss.require_label_type(label_type, self.data_option.name)
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
        model = self._model.build(input_shape=input_shape, num_classes=adapter.n_outputs)
        outputs = self._model.outputs_for_blank(model, input_shape, self.data_option.batch_size)
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
        batch_size = self.data_option.batch_size
        self._loss.require_computable(adapter, outputs, profile, batch_size, self._model.name)

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
