"""A trained network from its checkpoint alone, ready to read images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.build.recipe import Recipe, named_choices
from sweeper.cli.arguments import Arguments
from sweeper.configs import CONFIGS
from sweeper.data.image_data import ImageData
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.errors import CheckpointError, ConfigError, DataError
from sweeper.run.trust import require_resolved, require_trusted
from sweeper.text import did_you_mean, in_one_line
from sweeper.training.checkpoint import (
    kept_weights,
    load_adapter,
    load_weights,
    read_checkpoint,
)
from sweeper.training.scoring import Classifier

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
    _recipe: Recipe

    def data(self) -> ImageData:
        """Read the data that the network was trained on, split as it was then.

        Raises:
            DataError: it is missing, or is not the same by now.
        """
        data = self._recipe.data()
        trained_on = self._identity["images of each split"]
        if (data.sizes, data.digest) != (trained_on, self._identity["data"]):
            # Of other images, some of those held out now may be those that were trained on.
            raise DataError(
                f"data={data.profile.name} is not what {self.path} was trained on: {data.sizes} "
                f"images here, {trained_on} there, not all of them the same; "
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
        reason = in_one_line(error)
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {reason})") from error


def _restored(
    content: Mapping[str, Any], path: Path, overrides: Sequence[str], trusted: Sequence[str]
) -> Restored:
    profile = Profile(**content["data"])
    cfg = _config(content["config"], overrides, path)
    require_trusted(cfg, trusted, path)
    # Statistics are never measured again.
    cfg.data.mean, cfg.data.std = list(profile.mean), list(profile.std)
    recipe = Recipe.of(cfg, named_choices(cfg, {}))
    recipe.autocast()  # refuses a device or a precision that this machine does not have
    model, adapter = recipe.fitted(profile)
    load_adapter(adapter, content["criterion"], path)
    load_weights(model, kept_weights(content), path)
    return Restored(
        path=path,
        classifier=recipe.classifier(model, adapter),
        profile=profile,
        pipeline=recipe.pipeline(profile),
        batch_size=recipe.options.batch_size,
        _identity=content["identity"],
        _recipe=recipe,
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
