"""From a composed config to an experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from sweeper.errors import ConfigError
from sweeper.option import plain
from sweeper.options import Options
from sweeper.schema import checked
from sweeper.training.devices import autocast, available_device
from sweeper.training.experiment import Experiment
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
        watch=options.watch(model),
        callbacks=tuple(callback() for callback in options.callbacks),
    )


def verify(cfg: DictConfig) -> None:
    """Check that a composed config (with its `hydra` node) builds, on the meta device.

    Nothing is allocated or trained; the data is read, once, to know its shape.

    Raises:
        SweeperError: something cannot work.
    """
    choices = cfg.hydra.runtime.choices
    cfg = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    settings = RunSettings(**checked("config", RunSettings, _root(cfg)))
    trainer = TrainerSettings(**checked("trainer", TrainerSettings, plain(cfg, "trainer")))
    device = available_device(trainer.device)
    autocast(device, trainer.precision)
    options = Options(cfg, named_choices(cfg, choices))
    options.tracker(Path.cwd())
    data = options.data(settings, trainer, torch.device("cpu"))
    criterion = options.criterion(data)
    with torch.device("meta"):
        model = options.model(data.input_shape, criterion.n_outputs)
        options.watch(model)
        options.updates(model, data.steps_per_epoch, settings, trainer, torch.device("cpu"))


def named_choices(cfg: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Return the option of each group; a group that was written out has none and is `inline`."""
    groups = [str(key) for key in cfg if isinstance(cfg[key], DictConfig) and key != "callbacks"]
    return dict.fromkeys(groups, "inline") | {g: str(o) for g, o in choices.items() if g in groups}


def _root(cfg: DictConfig) -> dict[str, Any]:
    """Return the values at the root of the config, without the groups."""
    return {str(key): cfg[key] for key in cfg if not isinstance(cfg[key], DictConfig)}


def _configure_torch(trainer: TrainerSettings) -> None:
    torch.set_num_threads(trainer.threads or DEFAULT_THREADS)
    if torch.are_deterministic_algorithms_enabled() != trainer.deterministic:
        torch.use_deterministic_algorithms(trainer.deterministic)  # imports torch._inductor
    torch.backends.cudnn.benchmark = not trainer.deterministic
    torch.set_float32_matmul_precision("high")


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
