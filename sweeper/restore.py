"""A trained network from its checkpoint alone, ready to read images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from sweeper.app import CONFIGS
from sweeper.arguments import Arguments
from sweeper.build import named_choices, settings_of
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.errors import CheckpointError, ConfigError, DataError
from sweeper.options import Options
from sweeper.schema import did_you_mean
from sweeper.training.checkpoint import (
    kept_weights,
    load_criterion,
    load_weights,
    read_checkpoint,
)
from sweeper.training.devices import autocast, available_device
from sweeper.training.evaluate import Classifier
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.trust import require_resolved, require_trusted

UNNEEDED: dict[str, Any] = {
    "optimizer": {"_target_": "torch.optim.SGD"},
    "scheduler": {"_target_": None},
    "init": {"_target_": None},
    "stopping": {"_target_": None},
    "tracking": {"_target_": "sweeper.tracking.tracker.NullTracker"},
    "callbacks": {},
    "resume": None,
}
"""What only training needs: nothing of it is called again."""


@dataclass(frozen=True)
class Restored:
    """A network as a run kept it, and what it knows of its data."""

    path: Path
    classifier: Classifier
    profile: Profile
    pipeline: Pipeline
    """From uint8 images (N, C, H, W) of `profile.image_shape` to the network's input."""
    batch_size: int
    _identity: Mapping[str, Any]
    _options: Options
    _settings: RunSettings
    _trainer: TrainerSettings

    def data(self) -> ImageData:
        """Read the data that the network was trained on, split as it was then.

        Raises:
            DataError: it is missing, or is not the same by now.
        """
        data = self._options.data(self._settings, self._trainer, self.classifier.device)
        there = self._identity
        if (data.sizes, data.digest) != (there["images of each split"], there["data"]):
            # Of other images, some of those held out now may be those that were trained on.
            raise DataError(
                f"data={data.name} is not what {self.path} was trained on: {data.sizes} images "
                f"here, {there['images of each split']} there, not all of them the same; "
                "type folder=PATH to evaluate on other images"
            )
        return data


def restore(path: Path, overrides: Sequence[str] = (), trusted: Sequence[str] = ()) -> Restored:
    """Build the network that a checkpoint keeps, on the device there is.

    `overrides` such as `data.root=FOLDER` or `trainer.device=cpu` change the config that the
    checkpoint has; `trusted` are packages whose code it may call beside sweeper's own.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or not a checkpoint.
        ConfigError: an override is wrong, or the config calls code that is not trusted.
    """
    content = read_checkpoint(path)
    try:
        return _restored(content, path, overrides, trusted)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {reason})") from error


def _restored(
    content: Mapping[str, Any], path: Path, overrides: Sequence[str], trusted: Sequence[str]
) -> Restored:
    profile = Profile(**content["data"])
    cfg = _config(content["config"], overrides, path)
    require_trusted(cfg, trusted, path)
    # Statistics are never measured again.
    cfg.data.mean, cfg.data.std = list(profile.mean), list(profile.std)
    settings, trainer = settings_of(cfg)
    device = available_device(trainer.device)
    options = Options(cfg, named_choices(cfg, {}))
    criterion = options.criterion(profile)
    load_criterion(criterion, content["criterion"], path)
    model = options.model(profile.input_shape, criterion.n_outputs)
    load_weights(model, kept_weights(content), path)
    layout = torch.channels_last if trainer.channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
    return Restored(
        path=path,
        classifier=Classifier(
            model, criterion.to(device), device, autocast(device, trainer.precision)
        ),
        profile=profile,
        pipeline=options.pipeline(profile, trainer, device),
        batch_size=options.batch_size,
        _identity=content["identity"],
        _options=options,
        _settings=settings,
        _trainer=trainer,
    )


def trusted_packages(arguments: Arguments) -> list[str]:
    """Return what a tool was told with `trust=PACKAGE,...`."""
    return [name for name in arguments.values.get("trust", "").split(",") if name]


def _config(text: str, overrides: Sequence[str], path: Path) -> DictConfig:
    """The config of a checkpoint without what belongs to training or to another machine."""
    require_resolved(text, path)
    try:
        cfg = OmegaConf.create(text)
    except Exception as error:  # whatever a parser of YAML may meet
        raise CheckpointError(f"{path} has no config of a run") from error
    if not isinstance(cfg, DictConfig) or not {"data", "model", "trainer"} <= cfg.keys():
        raise CheckpointError(f"{path} has no config of a run")
    for key, value in UNNEEDED.items():
        cfg[key] = value
    # A key that came after the checkpoint was written has its default.
    cfg.trainer = OmegaConf.merge(OmegaConf.load(CONFIGS / "trainer/default.yaml"), cfg.trainer)
    pipeline = OmegaConf.load(CONFIGS / "pipeline.yaml")
    cfg.data = OmegaConf.merge(pipeline, cfg.data)
    cfg.trainer.device = "auto"
    cfg.data.cache_dir = pipeline.cache_dir
    for override in overrides:
        _require_key(cfg, override.partition("=")[0])
    cfg.merge_with_dotlist(list(overrides))
    return cfg


def _require_key(cfg: DictConfig, key: str) -> None:
    node, _, name = key.rpartition(".")
    parent = OmegaConf.select(cfg, node)
    if not isinstance(parent, DictConfig) or name not in parent:
        known = map(str, parent) if isinstance(parent, DictConfig) else map(str, cfg)
        raise ConfigError(f"the checkpoint's config has no key {key}; {did_you_mean(name, known)}")
