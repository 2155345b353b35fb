"""From a source and the run's settings to batches: the one function `build` calls."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from sweeper.data.image_data import ImageData, Subset
from sweeper.data.normalise import Normalise, statistics_for
from sweeper.data.pipeline import Pipeline, decoded_size, route_for
from sweeper.data.placement import Placement
from sweeper.data.profile import Profile
from sweeper.data.source import Source, class_counts, label_type_of
from sweeper.data.split import subset_indices
from sweeper.data.statistics import Statistics
from sweeper.errors import ConfigError
from sweeper.schema import Fraction

log = logging.getLogger(__name__)


def prepare(
    source: Source,
    *,
    batch_size: PositiveInt,
    val_fraction: Fraction,
    image_size: PositiveInt | None,
    mean: list[float] | None,
    std: list[PositiveFloat] | None,
    resident: bool | Literal["auto"],
    resident_limit_gib: PositiveFloat,
    num_workers: NonNegativeInt,
    cache_dir: Path,
    train_transform: list[Callable[..., Any]],
    eval_transform: list[Callable[..., Any]],
    seed: NonNegativeInt,
    min_image_size: NonNegativeInt,
    device: torch.device,
    channels_last: bool,
    train_limit: PositiveInt | None,
    val_limit: PositiveInt | None,
) -> ImageData:
    """Split, measure and batch a data set.

    `min_image_size` is the least height and width the network takes; `train_limit` and
    `val_limit` keep that many images. Raises DataError for data that cannot be read and
    ConfigError for settings that do not fit it.
    """
    size = decoded_size(image_size, min_image_size)
    placement = Placement(
        resident, resident_limit_gib, num_workers, cache_dir.expanduser(), device, channels_last
    )
    stored = placement.open_all(source.name, source.splits(size))
    label_type = label_type_of(source)
    labels = {name: split.labels for name, split in stored.items()}
    chosen, fit = subset_indices(labels, val_fraction, seed, train_limit, val_limit)

    train = stored["train"]
    image = torch.from_numpy(train.images[chosen["train"][:1]]).to(device)
    route = route_for(image, train_transform, eval_transform, size, min_image_size)
    if route.enlarge or (image_size or min_image_size) < min_image_size:
        log.info("images are enlarged to %dx%d, the least the model takes", *route.shape[1:])
    statistics = statistics_for(train, fit, route.evaluation, route.shape[0], mean, std)
    normalise = Normalise(statistics, route.shape, device, channels_last)

    if len(chosen["train"]) < min(2, batch_size):
        raise ConfigError(
            f"trainer.train_limit={train_limit} leaves {len(chosen['train'])} training image: "
            f"expected at least 2, or data.batch_size=1"
        )
    feeds = {name: placement.feed(split) for name, split in stored.items()}
    counts = class_counts(train.labels[chosen["train"]], label_type, len(train.classes))
    profile = Profile(
        name=source.name,
        classes=train.classes,
        label_type=label_type,
        label_shape=train.labels.shape[1:],
        image_shape=(image.shape[1], image.shape[2], image.shape[3]),
        input_shape=route.shape,
        class_counts=tuple(counts.tolist()),
        n_train=len(chosen["train"]),
        mean=statistics.mean,
        std=statistics.std,
    )
    return ImageData(
        profile=profile,
        digest=_digest([split.digest for split in stored.values()]),
        batch_size=batch_size,
        seed=seed,
        # Without a split of its own, validation takes images of the training split.
        subsets={
            name: Subset(feeds.get(name, feeds["train"]), indices)
            for name, indices in chosen.items()
        },
        train_pipeline=Pipeline((*route.train, *route.enlarge), normalise),
        eval_pipeline=Pipeline((*route.evaluation, *route.enlarge), normalise),
    )


def evaluation_pipeline(
    profile: Profile,
    *,
    transform: Sequence[Callable[..., Any]],
    image_size: int | None,
    min_image_size: int,
    device: torch.device,
    channels_last: bool,
) -> Pipeline:
    """The pipeline that `prepare` made for evaluation, from the profile of the data alone."""
    size = decoded_size(image_size, min_image_size)
    image = torch.zeros(1, *profile.image_shape, dtype=torch.uint8, device=device)
    route = route_for(image, transform, transform, size, min_image_size)
    if route.shape != profile.input_shape:
        raise ConfigError(
            f"the network was trained on images of shape {profile.input_shape}, not {route.shape}: "
            "leave data.image_size and data.eval_transform as they were"
        )
    statistics = Statistics(profile.mean, profile.std)
    normalise = Normalise(statistics, profile.input_shape, device, channels_last)
    return Pipeline((*route.evaluation, *route.enlarge), normalise)


def _digest(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()[:32]
