"""One config as a whole: checked first, then built as far as its reader needs it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from sweeper.build.loss_option import OutputShape
from sweeper.build.option import plain
from sweeper.build.options import Options
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.errors import ConfigError
from sweeper.losses import Adapter
from sweeper.schema import ImageShape, checked
from sweeper.training.checkpoint import resumed_checkpoint
from sweeper.training.devices import autocast, available_device
from sweeper.training.experiment import Experiment
from sweeper.training.finetune import freeze, warn_of_idle_unfreezing
from sweeper.training.recompute import recompute_activations
from sweeper.training.scoring import Classifier
from sweeper.training.seeding import seed_everything
from sweeper.training.settings import RunSettings, TrainerSettings

CPU = torch.device("cpu")
DEFAULT_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Recipe:
    """A config whose every value is checked, and of which nothing is built yet.

    `resumed` is the checkpoint that a run goes on from: such a run needs no weights to start from.
    """

    settings: RunSettings
    trainer: TrainerSettings
    options: Options
    resumed: Path | None

    @staticmethod
    def of(cfg: DictConfig, choices: Mapping[str, str]) -> "Recipe":
        """Check a config without its `hydra` node; `choices` names the option of each group.

        Raises:
            ConfigError: a group, option, key or value cannot work.
        """
        root = {str(key): cfg[key] for key in cfg if not isinstance(cfg[key], DictConfig)}
        settings = RunSettings(**checked("config", RunSettings, root))
        trainer = TrainerSettings(**checked("trainer", TrainerSettings, plain(cfg, "trainer")))
        resumed = resumed_checkpoint(settings.resume)
        return Recipe(settings, trainer, Options(cfg, choices, resumed is not None), resumed)

    @cached_property
    def device(self) -> torch.device:
        """The device of the run; ConfigError for one that this machine does not have."""
        return available_device(self.trainer.device)

    def autocast(self) -> Callable[[], AbstractContextManager[object]]:
        """Return a factory of the context that the network runs in.

        Raises:
            ConfigError: this machine does not have the device, or not in this precision.
        """
        return autocast(self.device, self.trainer.precision)

    def data(self, device: torch.device | None = None) -> ImageData:
        """Read, split and batch the data for the device of the run, or for another one.

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
            ConfigError: it cannot take such images, or the loss cannot read its outputs.
        """
        with device:
            return self.options.model(adapter, input_shape)

    def fitted(self, profile: Profile, device: torch.device = CPU) -> tuple[nn.Module, Adapter]:
        """Build the network on a device, and the loss for its outputs and the labels of the data.

        Raises:
            ConfigError: network, loss and data do not go together.
        """
        adapter = self.options.adapter(profile)
        model, outputs = self.network(adapter, profile.input_shape, device)
        self.options.require_fit(adapter, outputs, profile)
        return model, adapter

    def placed(self, model: nn.Module) -> nn.Module:
        """Return the network on the device of the run, in the memory format of its trainer."""
        layout = torch.channels_last if self.trainer.channels_last else torch.contiguous_format
        return model.to(self.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def classifier(self, model: nn.Module, adapter: Adapter) -> Classifier:
        """Return network and loss together, placed on the device of the run."""
        return Classifier(self.placed(model), adapter.to(self.device), self.device, self.autocast())

    def pipeline(self, profile: Profile) -> Pipeline:
        """Return the steps from decoded images, as `profile` has them, to the network's input."""
        return self.options.pipeline(profile, self.trainer, self.device)


def build(cfg: DictConfig, choices: Mapping[str, str], folder: Path) -> Experiment:
    """Build the experiment of a config without its `hydra` node.

    `choices` names the option of each group, and `folder` is where the command was started.

    Raises:
        ConfigError: a group, option, key or value cannot work; found before the data is read.
        DataError: the data is missing or cannot be read.
    """
    recipe = Recipe.of(cfg, choices)
    options, trainer = recipe.options, recipe.trainer
    context = recipe.autocast()
    _configure_torch(trainer)
    data = recipe.data()
    seed_everything(recipe.settings.seed)
    model, adapter = recipe.fitted(data.profile)
    model = recipe.placed(model)
    if trainer.activation_checkpointing:
        _recompute(model)
    if trainer.compile:
        model.compile()
    freeze(model, trainer.freeze)
    warn_of_idle_unfreezing(trainer)
    return Experiment(
        settings=recipe.settings,
        trainer=trainer,
        data=data,
        model=model,
        adapter=adapter.to(recipe.device),
        updates=options.updates(
            model, data.steps_per_epoch, recipe.settings, trainer, recipe.device
        ),
        stopping=options.stopping.partial() if options.stopping else None,
        device=recipe.device,
        autocast=context,
        tracker=options.tracker(folder),
        watch=options.watch(model),
        callbacks=options.callbacks(),
        resumed=recipe.resumed,
    )


def verify(cfg: DictConfig) -> None:
    """Check that a composed config, with its `hydra` node, can be built.

    Nothing is allocated or trained: the network is built on the meta device. The data is read.

    Raises:
        SweeperError: something cannot work.
    """
    recipe = Recipe.of(*_without_hydra(cfg))
    options, trainer = recipe.options, recipe.trainer
    recipe.autocast()  # refuses a device or a precision that this machine does not have
    options.tracker(Path.cwd())
    data = recipe.data(CPU)
    meta = torch.device("meta")
    model, _ = recipe.fitted(data.profile, meta)
    with meta:
        freeze(model, trainer.freeze)
        options.watch(model)
        options.updates(model, data.steps_per_epoch, recipe.settings, trainer, CPU)


@dataclass(frozen=True)
class Network:
    """A network, the shape of the images and the size of the training batches it is made for."""

    model: nn.Module
    input_shape: ImageShape
    batch_size: int


def network(cfg: DictConfig) -> Network:
    """Build only the network of a composed config, with its `hydra` node, to look at it.

    The data is read only where its source cannot tell what the images are. The network has no
    weights, unless it cannot be built or run without values.

    Raises:
        SweeperError: something cannot work.
    """
    recipe = Recipe.of(*_without_hydra(cfg))
    seen = recipe.options.describe()
    adapter = recipe.options.unweighted_adapter(seen.n_classes)
    try:
        model, _ = recipe.network(adapter, seen.shape, torch.device("meta"))
    except ConfigError:  # perhaps for want of values, which the meta device does not have
        model, _ = recipe.network(adapter, seen.shape)
    if recipe.trainer.activation_checkpointing:
        _recompute(model)
    return Network(model, seen.shape, recipe.options.batch_size)


def named_choices(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the option of each group; a group that was written out has none and is `inline`."""
    groups = [str(key) for key in cfg if isinstance(cfg[key], DictConfig) and key != "callbacks"]
    return dict.fromkeys(groups, "inline") | {g: str(o) for g, o in choices.items() if g in groups}


def _without_hydra(cfg: DictConfig) -> tuple[DictConfig, dict[str, str]]:
    """Return the experiment's own part of a config, and the option of each group."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    return own, named_choices(own, cfg.hydra.runtime.choices)


def _configure_torch(trainer: TrainerSettings) -> None:
    torch.set_num_threads(trainer.threads or DEFAULT_THREADS)
    if torch.are_deterministic_algorithms_enabled() != trainer.deterministic:
        torch.use_deterministic_algorithms(trainer.deterministic)  # imports torch._inductor
    torch.backends.cudnn.benchmark = not trainer.deterministic
    torch.set_float32_matmul_precision("high")


def _recompute(model: nn.Module) -> None:
    if recompute_activations(model) == 0:
        raise ConfigError(
            "trainer.activation_checkpointing=true finds no block in this model: "
            "it needs an nn.Sequential of blocks that have layers of their own"
        )
