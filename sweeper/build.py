"""From a composed config to an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from sweeper.errors import ConfigError
from sweeper.option import plain
from sweeper.options import Options
from sweeper.schema import checked
from sweeper.training.checkpoint import resumed_checkpoint
from sweeper.training.devices import autocast, available_device
from sweeper.training.experiment import Experiment
from sweeper.training.finetune import freeze, warn_of_idle_unfreezing
from sweeper.training.recompute import recompute_activations
from sweeper.training.seeding import seed_everything
from sweeper.training.settings import RunSettings, TrainerSettings

DEFAULT_THREADS = torch.get_num_threads()


def build(cfg: DictConfig, choices: Mapping[str, str], folder: Path) -> Experiment:
    """Build the experiment of a composed config.

    `choices` names the option of each group, and `folder` is where the command was started.
    Every value is checked before the data is read.

    Raises:
        ConfigError: a group, option, key or value cannot work.
        DataError: the data is missing or cannot be read.
    """
    settings, trainer = settings_of(cfg)
    device = available_device(trainer.device)
    options = Options(cfg, choices, resumed_checkpoint(settings.resume) is not None)
    experiment_autocast = autocast(device, trainer.precision)
    _configure_torch(trainer)

    data = options.data(settings, trainer, device)
    criterion = options.criterion(data.profile)
    seed_everything(settings.seed)
    model = options.model(data.input_shape, criterion.n_outputs)
    options.require_fit(model, criterion, data.profile)
    model = _placed(model, trainer, device)
    freeze(model, trainer.freeze)
    warn_of_idle_unfreezing(trainer)
    return Experiment(
        settings=settings,
        trainer=trainer,
        data=data,
        model=model,
        criterion=criterion.to(device),
        updates=options.updates(model, data.steps_per_epoch, settings, trainer, device),
        stopping=options.stopping.partial() if options.stopping else None,
        device=device,
        autocast=experiment_autocast,
        tracker=options.tracker(folder),
        watch=options.watch(model),
        callbacks=options.callbacks(),
    )


def verify(cfg: DictConfig) -> None:
    """Check that a composed config (with its `hydra` node) builds, on the meta device.

    Nothing is allocated or trained; the data is read, once, to know its shape.

    Raises:
        SweeperError: something cannot work.
    """
    cfg, choices = _without_hydra(cfg)
    settings, trainer = settings_of(cfg)
    device = available_device(trainer.device)
    autocast(device, trainer.precision)
    options = Options(cfg, choices, settings.resume is not None)
    options.tracker(Path.cwd())
    data = options.data(settings, trainer, torch.device("cpu"))
    criterion = options.criterion(data.profile)
    with torch.device("meta"):
        model = options.model(data.input_shape, criterion.n_outputs)
        options.require_fit(model, criterion, data.profile)
        freeze(model, trainer.freeze)
        options.watch(model)
        options.updates(model, data.steps_per_epoch, settings, trainer, torch.device("cpu"))


def settings_of(cfg: DictConfig) -> tuple[RunSettings, TrainerSettings]:
    """Return the checked root of a config, and its trainer.

    Raises:
        ConfigError: a key or value cannot work.
    """
    root = {str(key): cfg[key] for key in cfg if not isinstance(cfg[key], DictConfig)}
    settings = RunSettings(**checked("config", RunSettings, root))
    return settings, TrainerSettings(**checked("trainer", TrainerSettings, plain(cfg, "trainer")))


@dataclass(frozen=True)
class Network:
    """A network, and the images (C, H, W) and the size of the batches that it will see."""

    model: nn.Module
    input_shape: tuple[int, int, int]
    batch_size: int


def network(cfg: DictConfig) -> Network:
    """Build the network alone of a composed config (with its `hydra` node), to look at it.

    It has no weights, unless it asks for values where it is built or tried out. The data is
    read only where its source cannot tell what the images are.

    Raises:
        SweeperError: something cannot work.
    """
    cfg, choices = _without_hydra(cfg)
    _, trainer = settings_of(cfg)
    options = Options(cfg, choices)
    seen = options.describe()
    reader = options.reader(seen.n_classes)
    try:
        with torch.device("meta"):
            model = options.model(seen.shape, reader.n_outputs)
            options.require_readable(model, reader, seen.shape)
    except ConfigError:  # perhaps for want of values, which the meta device does not have
        model = options.model(seen.shape, reader.n_outputs)
        options.require_readable(model, reader, seen.shape)
    if trainer.activation_checkpointing:
        _recompute(model)
    return Network(model, seen.shape, options.batch_size)


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


def _placed(model: nn.Module, trainer: TrainerSettings, device: torch.device) -> nn.Module:
    layout = torch.channels_last if trainer.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    if trainer.activation_checkpointing:
        _recompute(model)
    if trainer.compile:
        model.compile()
    return model


def _recompute(model: nn.Module) -> None:
    if recompute_activations(model) == 0:
        raise ConfigError(
            "trainer.activation_checkpointing=true finds no block in this model: "
            "it needs an nn.Sequential of blocks that have layers of their own"
        )
