"""What is known of torchvision's transforms by their names, without importing torchvision."""

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import takewhile
from typing import Any

from sweeper.errors import ConfigError

PREFIX = "torchvision.transforms."
TO_TENSORS = {"ToTensor", "PILToTensor", "ToImage", "ToPureTensor"}
TO_FLOATS = {"ToDtype", "ConvertImageDtype"}
FLIPS = {"RandomHorizontalFlip", "RandomVerticalFlip"}
KEEP_SIZE = FLIPS | {"Grayscale", "RandomGrayscale", "RGB", "ColorJitter", "Identity"}
"""Transforms that keep the size of an image, whatever size it has."""
MARGIN = 2
"""How many times larger than needed a photograph is kept, so that hardly any is reduced twice."""


def name_of(transform: object) -> str:
    """Return the name of a class of torchvision's transforms, v1 or v2; "" for anything else."""
    kind = type(transform)
    return kind.__name__ if kind.__module__.startswith(PREFIX) else ""


def tells_all(transform: object) -> bool:
    """Return whether the text of a transform, `str(transform)`, says all that it does.

    It does for a transform of torchvision whose arguments are numbers and words. A function or an
    inner transform may do something else under the same text, as a transform of one's own may.
    """
    if not name_of(transform) or getattr(transform, "_modules", None):
        return False
    return all(_is_plain(v) for name, v in vars(transform).items() if not name.startswith("_"))


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str | Enum)


def flattened(transforms: Sequence[Any]) -> Iterator[Any]:
    """Yield the transforms in their order, and those inside `Compose` in its place."""
    for transform in transforms:
        if name_of(transform) == "Compose":
            yield from flattened(transform.transforms)
        else:
            yield transform


def require_new(transforms: Sequence[Any], key: str) -> None:
    """Check that no transform does what is done for all images; `key` is their config key.

    Raises:
        ConfigError: one does; the message says what to type instead.
    """
    for transform in transforms:
        name = name_of(transform)
        statistics = getattr(transform, "mean", None), getattr(transform, "std", None)
        _require_new(name, key, *statistics)
        inner = getattr(transform, "transforms", None)
        if name and isinstance(inner, Sequence):  # such as those of RandomApply
            require_new(inner, key)


def require_new_targets(node: object, key: str) -> None:
    """Check the `_target_` of each transform in a plain config, as `require_new` does.

    Some of these transforms cannot be made from a config, such as ToDtype, which needs a dtype.

    Raises:
        ConfigError: a transform does what is done for all images.
    """
    if isinstance(node, Mapping):
        target = str(node.get("_target_"))
        if target.startswith(PREFIX):
            _require_new(target.rpartition(".")[2], key, node.get("mean"), node.get("std"))
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            require_new_targets(child, key)


def _require_new(name: str, key: str, mean: object, std: object) -> None:
    if reason := _reason_not_to_type(name, mean, std):
        raise ConfigError(f"{key}: remove {name}: {reason}")


def _reason_not_to_type(name: str, mean: object, std: object) -> str | None:
    if name in TO_TENSORS:
        return "this is done already, and transforms get images as uint8 tensors"
    if name in TO_FLOATS:
        return (
            "this is done already, after all transforms: the network gets float32, scaled to 0..1 "
            "and normalised with data.mean and data.std"
        )
    if name == "Normalize":
        return (
            "this is done already, after all transforms, with the mean and deviation of the "
            f"training images; for others type data.mean={_typed(mean)} data.std={_typed(std)}"
        )
    return "transforms get images as uint8 tensors" if name == "ToPILImage" else None


def _typed(values: object) -> str:
    """Return the statistics of each channel as they are typed."""
    return str(list(values)).replace(" ", "") if isinstance(values, Sequence) else "[...]"


def crop_side(transform: Any) -> int:
    """Return the least side of an image that `RandomCrop` takes, or 0 for any other transform."""
    return max(transform.size) if name_of(transform) == "RandomCrop" else 0


def n_flips(transforms: Sequence[Any]) -> int:
    """Return the number of random flips that the transforms begin with."""
    return len(list(takewhile(lambda transform: name_of(transform) in FLIPS, transforms)))


def useful_side(transforms: Sequence[Any]) -> int | None:
    """Return a shorter side of a photograph beyond which these transforms gain no detail.

    None if it is not known: the transforms may use every pixel, as `RandomCrop` does.
    """
    for transform in transforms:
        name = name_of(transform)
        if name in KEEP_SIZE:
            continue
        if name == "Resize" and transform.size and not getattr(transform, "max_size", None):
            return MARGIN * _longest(transform.size)
        if name == "RandomResizedCrop":
            # The smallest crop has this part of the shorter side of a square image.
            low, high = transform.ratio
            part = math.sqrt(transform.scale[0] * min(low, 1 / high))
            return math.ceil(_longest(transform.size) / part) if part > 0 else None
        return None
    return None


def _longest(size: int | Sequence[int]) -> int:
    return size if isinstance(size, int) else max(size)
