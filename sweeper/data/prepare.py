"""The preparation of a data set: from a source and the settings of a run to batches."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from sweeper.data.cache import OpenSplit
from sweeper.data.checked_splits import checked_splits, require_split_names
from sweeper.data.decoding import Decoding
from sweeper.data.file_source import DataSet, FileSource, decoded_files
from sweeper.data.framing import ImageSize, Resize
from sweeper.data.image_data import ImageData, Subset, evaluation_batch_size
from sweeper.data.image_files import FileImages, FilePhotographs, pillow_mode
from sweeper.data.inputs import Inputs, Probe, smallest_photographs
from sweeper.data.kept import kept
from sweeper.data.normalise import Normalise, statistics_for
from sweeper.data.pipeline import Pipeline
from sweeper.data.placement import Placement
from sweeper.data.profile import Profile
from sweeper.data.source import (
    Images,
    Indices,
    Split,
    class_counts,
    label_type_of,
    require_labels,
)
from sweeper.data.split import subset_indices
from sweeper.data.statistics import Statistics
from sweeper.errors import ConfigError
from sweeper.schema import Fraction, ImageShape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineKeys:
    """The keys that all data sets share; `conf/pipeline.yaml` says what they mean."""

    batch_size: PositiveInt
    val_fraction: Fraction
    image_size: ImageSize | None
    mean: list[float] | None
    std: list[PositiveFloat] | None
    resident: bool | Literal["auto"]
    resident_limit_gib: PositiveFloat
    num_workers: NonNegativeInt
    cache_dir: Path
    train_transform: list[Callable[..., Any]]
    eval_transform: list[Callable[..., Any]]
    resize: Resize = "squash"
    background: str | list[int] = "white"

    def inputs(self, source: str, min_image_size: int) -> Inputs:
        """Return the settings of sizes and transforms, for a network that takes such images.

        Raises:
            ConfigError: a transform does what is done for all images, or the background is no
                colour.
        """
        return Inputs.of(
            source,
            self.image_size,
            self.resize,
            self.background,
            self.train_transform,
            self.eval_transform,
            min_image_size,
        )


@dataclass(frozen=True)
class RunNeeds:
    """What a run needs of its data.

    `min_image_size` is the smallest height and width that the network takes. `train_limit`,
    `val_limit` and `test_limit` are the largest numbers of images to use.
    """

    seed: int
    min_image_size: int
    device: torch.device
    channels_last: bool
    train_limit: int | None = None
    val_limit: int | None = None
    test_limit: int | None = None


def prepare(source: DataSet, keys: PipelineKeys, needs: RunNeeds) -> ImageData:
    """Read and split a data set, and build the pipelines of its batches.

    Raises:
        DataError: the data cannot be read, or a split has no image, another name than `train`,
            `val` and `test`, or images or labels of another type or number than they must have.
        ConfigError: the settings do not fit the data.
    """
    inputs, device = keys.inputs(source.name, needs.min_image_size), needs.device
    placement = Placement(
        keys.resident,
        keys.resident_limit_gib,
        keys.num_workers,
        keys.cache_dir.expanduser(),
        device,
        needs.channels_last,
    )
    splits = placement.open_all(source.name, _splits(source, inputs))
    label_type = label_type_of(source)
    labels = {name: split.labels for name, split in splits.items()}
    for name, split in splits.items():
        where = f" (cached in {split.cache_folder})" if split.cache_folder else ""
        shown = f"data={source.name}: {name}{where}"
        require_labels(shown, split.labels, label_type, len(splits["train"].classes))
    digests = tuple((name, split.digest) for name, split in splits.items())
    limits = needs.train_limit, needs.val_limit, needs.test_limit
    indices, statistics_indices = kept(
        "indices",
        (digests, keys.val_fraction, needs.seed, *limits),
        lambda: subset_indices(labels, keys.val_fraction, needs.seed, *limits),
    )

    train = splits["train"]
    probes, image_shape = _probes(train, indices["train"][:1], device)
    steps = inputs.steps(probes, device)
    input_shape = steps.input_shape
    if steps.enlarge or inputs.is_enlarged(keys.image_size):
        log.info(
            "images are enlarged to %dx%d, the smallest size that the model takes", *input_shape[1:]
        )
    statistics = statistics_for(train, statistics_indices, steps, keys.mean, keys.std)
    normalise = Normalise(statistics, input_shape, device, needs.channels_last)

    n_train = len(indices["train"])
    if n_train < min(2, keys.batch_size):
        raise ConfigError(
            f"trainer.train_limit={needs.train_limit} leaves {n_train} training image: "
            f"expected at least 2; type trainer.train_limit=2 or more, or data.batch_size=1"
        )
    feeds = {name: placement.feed(split) for name, split in splits.items()}
    counts = class_counts(train.labels[indices["train"]], label_type, len(train.classes))
    profile = Profile(
        name=source.name,
        classes=train.classes,
        label_type=label_type,
        label_shape=train.labels.shape[1:],
        image_shape=image_shape,
        input_shape=input_shape,
        class_counts=tuple(counts.tolist()),
        n_train=n_train,
        mean=statistics.mean,
        std=statistics.std,
    )
    return ImageData(
        profile=profile,
        digest=_combined_digest([split.digest for split in splits.values()]),
        former_digest=_combined_digest(
            [split.former_digest or split.digest for split in splits.values()]
        ),
        batch_size=keys.batch_size,
        seed=needs.seed,
        # If the source has no `val`, the validation images are in the feed of `train`.
        subsets={
            name: Subset(feeds.get(name, feeds["train"]), subset)
            for name, subset in indices.items()
        },
        train_pipeline=Pipeline((*steps.train, *steps.enlarge), normalise),
        eval_pipeline=Pipeline((*steps.evaluation, *steps.enlarge), normalise),
        eval_batch_size=evaluation_batch_size(keys.batch_size, input_shape, device),
    )


def _splits(source: DataSet, inputs: Inputs) -> dict[str, Split]:
    """Return the splits of a source, which raise a DataError when they cannot be used."""
    if not isinstance(source, FileSource):
        return checked_splits(source.name, source.splits(inputs.image_size))
    files = source.files()
    require_split_names(source.name, files)
    decoding = inputs.decoding(len(files["train"].mode))
    return checked_splits(source.name, {name: each.split(decoding) for name, each in files.items()})


def _probes(
    train: OpenSplit, first: Indices, device: torch.device
) -> tuple[list[Probe], ImageShape]:
    """Return images to try the transforms out, and the shape (C, H, W) of the first image."""
    images = train.images
    if not isinstance(images, Images):
        height, width = images.sizes[first[0]].tolist()
        return smallest_photographs(images.sizes, images.channels), (images.channels, height, width)
    image = torch.from_numpy(images[first]).to(device)
    return [image], (image.shape[1], image.shape[2], image.shape[3])


def evaluation_pipeline(
    profile: Profile,
    inputs: Inputs,
    *,
    reads_files: bool,
    device: torch.device,
    channels_last: bool,
) -> Pipeline:
    """Return the evaluation pipeline of `prepare`, built from the profile without the data.

    `reads_files` is true if the source is a `FileSource`.

    Raises:
        ConfigError: the transforms fail, or result in another input shape than in training.
    """
    if reads_files and inputs.decoding(profile.image_shape[0]).size is None:
        probes = inputs.blank_files(profile.image_shape[0])
    else:
        probes = [torch.zeros(1, *profile.image_shape, dtype=torch.uint8, device=device)]
    steps = inputs.for_evaluation().steps(probes, device)
    if steps.input_shape != profile.input_shape:
        raise ConfigError(
            f"the network was trained on images of shape {profile.input_shape}, not "
            f"{steps.input_shape}; do not change data.image_size and data.eval_transform"
        )
    statistics = Statistics(profile.mean, profile.std)
    normalise = Normalise(statistics, profile.input_shape, device, channels_last)
    return Pipeline((*steps.evaluation, *steps.enlarge), normalise)


def evaluation_files(
    paths: Sequence[Path], profile: Profile, inputs: Inputs, reads_files: bool
) -> FileImages | FilePhotographs:
    """Return image files decoded as those of the data were, for `evaluation_pipeline`.

    Raises:
        DataError: the images of the data had another number of channels than files have.
    """
    channels, height, width = profile.image_shape
    mode = pillow_mode(channels)
    decoding = Decoding((height, width), inputs.resize, None, inputs.background)
    return decoded_files(tuple(paths), mode, inputs.decoding(channels) if reads_files else decoding)


def _combined_digest(digests: Sequence[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]
