"""A whole config, checked first, and the functions that build or verify what it describes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from sweeper.build.choices import named_choices
from sweeper.build.loss_option import OutputShape
from sweeper.build.option import (
    PlainOrConfig,
    Trust,
    all_plain,
    plain_node,
    plain_value,
    pop_keys,
    trust_all,
)
from sweeper.build.options import Options
from sweeper.data.file_source import DataSet
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.errors import ConfigError
from sweeper.losses import Adapter
from sweeper.schema import ImageShape, parsed
from sweeper.training.compiler import defer_compiler
from sweeper.training.devices import autocast, available_device
from sweeper.training.experiment import Experiment
from sweeper.training.finetune import freeze, warn_of_unused_unfreeze_at
from sweeper.training.overfit import remove_regularisation
from sweeper.training.recompute import recompute_activations
from sweeper.training.resumption import checkpoint_to_resume
from sweeper.training.scoring import Classifier
from sweeper.training.seeding import seed_everything
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.torch_settings import configure_torch

CPU = torch.device("cpu")
META = torch.device("meta")

T = TypeVar("T")


@dataclass(frozen=True)
class TrainerKeys:
    """The keys of a trainer option that only the root of the config refers to."""

    figures: bool | None = None


@dataclass(frozen=True)
class Recipe:
    """A config with all values checked, and methods that build its parts.

    `resumed_from` is the checkpoint that the run resumes from, if any.
    """

    settings: RunSettings
    trainer: TrainerSettings
    options: Options
    resumed_from: Path | None

    @staticmethod
    def of(cfg: PlainOrConfig, choices: Mapping[str, str], trust: Trust = trust_all) -> "Recipe":
        """Check a config without its `hydra` node; `choices` has the option of each group.

        `trust` raises an error for a target that this config may not call.

        Raises:
            ConfigError: a group, option, key or value cannot work.
        """
        values = all_plain(cfg)
        settings = _settings(values)
        node = plain_node(values, "trainer")
        pop_keys("trainer", TrainerKeys, node)
        trainer = parsed("trainer", TrainerSettings, node)
        resumed_from = checkpoint_to_resume(settings.resume)
        options = Options(values, choices, resumed_from is not None, trust)
        return Recipe(settings, trainer, options, resumed_from)

    @cached_property
    def device(self) -> torch.device:
        """The device of the run.

        Raises:
            ConfigError: this machine has no such device.
        """
        return available_device(self.trainer.device)

    def autocast(self) -> Callable[[], AbstractContextManager[object]]:
        """Return a function that creates the autocast context for the network's forward pass.

        Raises:
            ConfigError: this machine has no such device, or it cannot train in this precision.
        """
        return autocast(self.device, self.trainer.precision)

    def data(self, device: torch.device | None = None) -> ImageData:
        """Read and split the data, for the device of the run unless another one is given.

        Raises:
            DataError: the data is missing or cannot be read.
            ConfigError: the loss, the metric or a setting does not fit it.
        """
        return self.options.data(self.settings, self.trainer, device or self.device)

    def network(
        self, adapter: Adapter, input_shape: ImageShape, device: torch.device = CPU
    ) -> tuple[nn.Module, OutputShape]:
        """Build the network on a device; return it with the shape of its outputs for one image.

        Raises:
            ConfigError: the network cannot take the images, or the loss cannot read its outputs.
        """
        with device:
            return self.options.model(adapter, input_shape)

    def trainable_network(
        self, adapter: Adapter, profile: Profile, device: torch.device = CPU
    ) -> nn.Module:
        """Build the network on a device, and check that it can be trained on the data.

        Raises:
            ConfigError: network, loss and data do not fit each other.
        """
        model, outputs = self.network(adapter, profile.input_shape, device)
        self.options.require_computable_loss(adapter, outputs, profile)
        # A study is told too that the memory format that was typed does not fit.
        self.options.weights_channels_last(model, self.trainer, self.device)
        return model

    def to_device(self, model: nn.Module) -> nn.Module:
        """Move the network to the device of the run, in the trainer's memory format.

        Raises:
            ConfigError: the format does not fit the network.
        """
        is_last = self.options.weights_channels_last(model, self.trainer, self.device)
        layout = torch.channels_last if is_last else torch.contiguous_format
        return model.to(self.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def classifier(self, model: nn.Module, adapter: Adapter) -> Classifier:
        """Move network and adapter to the device of the run; return them as a classifier."""
        return Classifier(
            self.to_device(model), adapter.to(self.device), self.device, self.autocast()
        )

    def pipeline(self, profile: Profile) -> Pipeline:
        """Return the transforms from decoded images to the network's input, as for evaluation."""
        is_last = self.options.channels_last(self.trainer, self.device)
        return self.options.data_option.pipeline(profile, self.device, is_last)


def build(cfg: PlainOrConfig, choices: Mapping[str, str], folder: Path) -> Experiment:
    """Build the experiment of a config without its `hydra` node.

    `choices` has the option of each group, and `folder` is where the command was started.

    Raises:
        ConfigError: a group, option, key or value cannot work, or the parts do not fit each other.
        DataError: the data is missing or cannot be read.
    """
    values = all_plain(cfg)
    seed = _settings(values).seed
    # What the config names inside an option, and the loss, may draw when they are made. They get
    # other numbers than the network, which do not depend on whether the data is in the cache.
    seed_everything(~seed)
    recipe = Recipe.of(values, choices)
    options, trainer = recipe.options, recipe.trainer
    autocast_context = recipe.autocast()
    if not trainer.compile:
        defer_compiler()
    configure_torch(trainer)
    tracker = options.tracker(folder)  # checks the tracking URI before the data is read
    data = recipe.data()
    seed_everything(~seed)
    adapter = options.adapter(data.profile)
    seed_everything(seed)  # nothing but the network draws from here to the training
    model = recipe.to_device(recipe.trainable_network(adapter, data.profile))
    if trainer.activation_checkpointing:
        _checkpoint_activations(model)
    if trainer.compile:
        model.compile()
    freeze(model, trainer.freeze)
    warn_of_unused_unfreeze_at(trainer)
    updates = options.updates.build(
        model, data.steps_per_epoch, recipe.settings, trainer, recipe.device
    )
    if trainer.overfit:
        remove_regularisation(model, updates.optimizer, adapter.criterion)
    return Experiment(
        settings=recipe.settings,
        trainer=trainer,
        data=data,
        model=model,
        adapter=adapter.to(recipe.device),
        updates=updates,
        stopping=options.stopping.partial() if options.stopping and not trainer.overfit else None,
        device=recipe.device,
        autocast=autocast_context,
        tracker=tracker,
        watch=options.watch(model),
        callbacks=options.callbacks(),
        resumed_from=recipe.resumed_from,
    )


def verify(cfg: DictConfig) -> None:
    """Check that a composed config, with its `hydra` node, can be built.

    The data is read. The network is built on the meta device, so its weights take no memory, unless
    it cannot be built there.

    Raises:
        SweeperError: the config cannot be built.
    """
    recipe = Recipe.of(*_without_hydra(cfg))
    options, trainer = recipe.options, recipe.trainer
    recipe.autocast()  # raises for a device or precision that this machine does not support
    defer_compiler()
    options.tracker(Path.cwd())
    data = recipe.data(CPU)
    adapter = options.adapter(data.profile)
    model, device = _without_values(
        lambda device: (recipe.trainable_network(adapter, data.profile, device), device)
    )
    with device:
        freeze(model, trainer.freeze)
        options.watch(model)
        options.updates.build(model, data.steps_per_epoch, recipe.settings, trainer, CPU)


def _without_values(build: Callable[[torch.device], T]) -> T:
    """Return what a function builds on the meta device, or on the CPU if it cannot be built there.

    Raises:
        ConfigError: it cannot be built on the CPU either.
    """
    try:
        return build(META)
    except ConfigError:  # the network may need values, which the meta device does not have
        return build(CPU)


@dataclass(frozen=True)
class Network:
    """A network with the shape of its input images, (C, H, W), and the training batch size."""

    model: nn.Module
    input_shape: ImageShape
    batch_size: int


def network(cfg: DictConfig) -> Network:
    """Build only the network of a composed config, with its `hydra` node.

    The data is read only if its source cannot describe itself. The network is on the meta device,
    without values, unless it cannot be built there.

    Raises:
        SweeperError: the network cannot be built.
    """
    recipe = Recipe.of(*_without_hydra(cfg))
    description = recipe.options.data_option.describe()
    adapter = recipe.options.unweighted_adapter(description.n_classes)
    model, _ = _without_values(lambda device: recipe.network(adapter, description.shape, device))
    if recipe.trainer.activation_checkpointing:
        _checkpoint_activations(model)
    return Network(model, description.shape, recipe.options.data_option.batch_size)


def source_of(cfg: DictConfig) -> DataSet:
    """Build only the data set of a composed config, with its `hydra` node; nothing is read.

    Raises:
        ConfigError: the config is invalid.
    """
    return Recipe.of(*_without_hydra(cfg)).options.data_option.source()


def _settings(cfg: PlainOrConfig) -> RunSettings:
    """Return the values of the config's root that are not groups.

    A setting that was given a mapping is among them, so that its type is refused.

    Raises:
        ConfigError: a value is missing or cannot work, or there is no such key.
    """
    settings = {field.name for field in fields(RunSettings)}
    values = {str(key): plain_value(cfg, str(key)) for key in cfg}
    of_root = {k: v for k, v in values.items() if k in settings or not isinstance(v, dict)}
    return parsed("", RunSettings, of_root)


def _without_hydra(cfg: DictConfig) -> tuple[DictConfig, dict[str, str]]:
    """Return a config without its `hydra` node, and the option of each group."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    return own, named_choices(own, cfg.hydra.runtime.choices)


def _checkpoint_activations(model: nn.Module) -> None:
    if recompute_activations(model) == 0:
        raise ConfigError(
            "trainer.activation_checkpointing=true finds no block in this model: "
            "it needs an nn.Sequential of blocks that have layers of their own"
        )
