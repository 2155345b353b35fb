"""A trained network restored from its checkpoint, ready to classify images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.build.choices import named_choices
from sweeper.build.recipe import Recipe
from sweeper.cli.arguments import Arguments
from sweeper.cli.overrides import shell_word
from sweeper.configs import CONFIGS
from sweeper.data.image_data import ImageData
from sweeper.data.image_files import FileImages, FilePhotographs
from sweeper.data.pipeline import Pipeline
from sweeper.data.profile import Profile
from sweeper.errors import CheckpointError, ConfigError, DataError
from sweeper.run.trust import TRAINING_NODES, parsed_config, parsed_profile, trust_of
from sweeper.text import did_you_mean, in_one_line
from sweeper.training.checkpoint import (
    checkpoint_in,
    eval_weights,
    load_adapter,
    load_weights,
    read_checkpoint,
)
from sweeper.training.scoring import Classifier
from sweeper.training.torch_settings import configure_torch


@dataclass(frozen=True)
class Restored:
    """A trained network with its adapter, and the description of its data."""

    path: Path
    classifier: Classifier
    profile: Profile
    pipeline: Pipeline
    """Transforms from decoded images, such as those of `files`, to the network's input."""
    batch_size: int
    epoch: int
    """The epoch of the network."""
    _identity: Mapping[str, Any]
    _recipe: Recipe

    def configure_torch(self) -> None:
        """Set the precision and determinism of this process as in training, and its threads."""
        configure_torch(self._recipe.trainer)

    def files(self, paths: Sequence[Path]) -> FileImages | FilePhotographs:
        """Return image files, decoded as in training; every file is opened.

        Raises:
            DataError: a file is not an image, or files have other channels than the data.
        """
        files = self._recipe.options.data_option.files(paths, self.profile)
        files.check_headers()
        return files

    def data(self) -> ImageData:
        """Read the data that the network was trained on, with the splits of the training.

        Raises:
            DataError: the data is missing, or has changed since the training.
        """
        data = self._recipe.data()
        trained_on = self._identity["images of each split"]
        if data.sizes != trained_on or not data.has_digest(self._identity["data"]):
            # With other images the splits differ too: training images may be in the test split.
            raise DataError(
                f"data={data.profile.name} is not what {self.path} was trained on: it has "
                f"{data.sizes} images now and had {trained_on} then, and some of them differ; "
                "type folder=PATH to evaluate on other images"
            )
        return data


def restore(path: Path, overrides: Sequence[str] = (), trusted: Sequence[str] = ()) -> Restored:
    """Build the network of a checkpoint, or of the best one in the folder of a run.

    It is on the first available device unless an override sets one.

    `overrides` such as `data.root=FOLDER` or `trainer.device=cpu` change the checkpoint's config.
    `trusted` are packages that this config may name classes of, in addition to sweeper's own.

    Raises:
        CheckpointError: the file is missing, damaged or not a checkpoint.
        ConfigError: an override is wrong, or the config names a class that is not trusted.
    """
    path = checkpoint_in(path, "best.pt")
    content = read_checkpoint(path)
    try:
        return _restored(content, path, overrides, trusted)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = in_one_line(error)
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {reason})") from error


def _restored(
    content: Mapping[str, Any], path: Path, overrides: Sequence[str], trusted: Sequence[str]
) -> Restored:
    profile = parsed_profile(content["data"], path)
    cfg = _config(content["config"], overrides, path)
    # The network needs the mean and deviation that it was trained with, whatever the data is now.
    cfg.data.mean, cfg.data.std = list(profile.mean), list(profile.std)
    recipe = Recipe.of(cfg, named_choices(cfg, {}), trust_of(path, trusted))
    recipe.autocast()  # raises for a device or precision that this machine does not support
    adapter = recipe.options.adapter(profile)
    model, _ = recipe.network(adapter, profile.input_shape)
    load_adapter(adapter, content["criterion"], path)
    if adapter.needs_training_outputs and content["state"]["batch"]:
        raise CheckpointError(_unlearned(path))
    load_weights(model, eval_weights(content), path)
    return Restored(
        path=path,
        classifier=recipe.classifier(model, adapter),
        profile=profile,
        pipeline=recipe.pipeline(profile),
        batch_size=recipe.options.data_option.batch_size,
        epoch=len(content["state"]["history"]),
        _identity=content["identity"],
        _recipe=recipe,
    )


def _unlearned(path: Path) -> str:
    """Return why a checkpoint from within an epoch cannot predict, and what to type instead."""
    best = path.with_name("best.pt")
    return (
        f"{path} was saved in the middle of an epoch, and its loss learns how to predict only at "
        "the end of one; "
        + (f"type checkpoint={shell_word(str(best))}, or " if best.is_file() else "")
        + f"finish the epoch with the command of the run and resume={shell_word(str(path))}"
    )


def trusted_packages(arguments: Arguments) -> list[str]:
    """Return the packages that `trust=PACKAGE,...` names."""
    return [name for name in arguments.values.get("trust", "").split(",") if name]


def require_split(split: str, data: ImageData, names: Iterable[str]) -> None:
    """Check that `split=NAME` names one of these splits, and that the data has it.

    Raises:
        ConfigError: it does not.
    """
    known = [name for name in names if name in data.sizes]
    if split not in known:
        choices = " or ".join(f"split={name}" for name in known)
        raise ConfigError(
            f"split={split}: data={data.profile.name} has no such split; type {choices}"
        )


def _config(text: object, overrides: Sequence[str], path: Path) -> DictConfig:
    """Return the config of a checkpoint, without nodes for training and settings of a machine."""
    cfg = parsed_config(text, path)
    if not {"data", "model", "trainer"} <= cfg.keys():
        raise CheckpointError(f"{path} has no config of a run")
    for key, value in TRAINING_NODES.items():
        cfg[key] = value
    # Keys that are newer than the checkpoint have their default values.
    cfg.trainer = OmegaConf.merge(OmegaConf.load(CONFIGS / "training.yaml"), cfg.trainer)
    pipeline = OmegaConf.load(CONFIGS / "pipeline.yaml")
    cfg.data = OmegaConf.merge(pipeline, cfg.data)
    cfg.trainer.device, cfg.trainer.threads = "auto", None
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
