"""The transforms on photographs of different sizes, up to the one that gives all the same size.

Random parameters are drawn in the calling thread, photograph by photograph, from torch's global
random state. Only work without random numbers is done in threads, so that their number changes
nothing.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
import torchvision.transforms as v1
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from sweeper.data.crop_boxes import random_boxes
from sweeper.data.framing import Resize, Size, centre, scaled_size
from sweeper.data.recognised import crop_side
from sweeper.errors import ConfigError

Photos = Sequence[Tensor]
"""Photographs (C, H, W) uint8 of different sizes."""

PROBES = ((512, 384), (400, 448))
"""Heights and widths of the blank images that show whether a transform gives all the same size."""
ROUNDS = 3
"""How often it is tried: a transform such as RandomApply may leave an image as it is."""


@dataclass(frozen=True)
class Frame:
    """The transform that gives a photograph (C, H, W) the configured size."""

    size: Size
    resize: Resize

    def __call__(self, image: Tensor) -> Tensor:
        height, width = scaled_size((image.shape[-2], image.shape[-1]), self.size, self.resize)
        top, left = centre((height, width), self.size)
        scaled = TF.resize(image, [height, width], antialias=True)
        window: Tensor = TF.crop(scaled, top, left, *self.size)
        return window


@dataclass(frozen=True)
class Sizing:
    """The step from photographs of different sizes to one batch (N, C, H, W) on the device."""

    transforms: tuple[Any, ...]
    device: torch.device
    takes_photographs: ClassVar[bool] = True

    def __call__(self, photos: Photos) -> Tensor:
        for transform in self.transforms:
            photos = transformed(transform, photos)
        shapes = {tuple(photo.shape) for photo in photos}
        if len(shapes) > 1:
            raise ConfigError(
                f"{self} gives images of the shapes {', '.join(map(str, sorted(shapes)))}: "
                "expected one shape"
            )
        # Photographs are stored as (H, W, C), and so are the results of most transforms.
        batch = torch.stack([photo.movedim(0, -1) for photo in photos])
        return batch.movedim(-1, 1).to(self.device)

    def __str__(self) -> str:
        return ", ".join(map(str, self.transforms))


def n_sizing(transforms: Sequence[Any], channels: int) -> int:
    """Return the number of transforms up to the first that gives all images the same size, or 0."""
    return next((n for n, each in enumerate(transforms, 1) if _fixes_size(each, channels)), 0)


def _fixes_size(transform: Any, channels: int) -> bool:
    if crop_side(transform):
        return True  # it fails on smaller images
    blanks = [torch.zeros(channels, *size, dtype=torch.uint8) for size in PROBES * ROUNDS]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return len({tuple(transform(blank).shape) for blank in blanks}) == 1
        except Exception:  # the user's transform may raise anything; it is tried on the data later
            return False


def transformed(transform: Any, photos: Photos) -> list[Tensor]:
    """Return the photographs after the transform, with random parameters for every photograph."""
    return KNOWN.get(type(transform), _one_by_one)(transform, photos)


def _one_by_one(transform: Any, photos: Photos) -> list[Tensor]:
    # A transform that works in place would change photographs that stay in memory for all epochs.
    return [transform(photo.clone()) for photo in photos]


def _deterministic(transform: Any, photos: Photos) -> list[Tensor]:
    return _in_threads(transform, photos)


def _horizontal_flip(transform: Any, photos: Photos) -> list[Tensor]:
    return _flipped(photos, transform.p, -1)


def _vertical_flip(transform: Any, photos: Photos) -> list[Tensor]:
    return _flipped(photos, transform.p, -2)


def _flipped(photos: Photos, p: float, dim: int) -> list[Tensor]:
    flips = (torch.rand(len(photos)) < p).tolist()
    return [photo.flip(dim) if flip else photo for photo, flip in zip(photos, flips, strict=True)]


def _resized_crop(transform: Any, photos: Photos) -> list[Tensor]:
    size, mode, antialias = list(transform.size), transform.interpolation, transform.antialias

    def resized_crop(photo: Tensor, box: list[int]) -> Tensor:
        top, left, height, width = box
        window = photo.permute(1, 2, 0).numpy()[top : top + height, left : left + width]
        # torch resizes uint8 images without a copy to float only as (H, W, C). NumPy makes that,
        # because torch would start threads of its own in each thread here.
        image = torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1)
        resized: Tensor = TF.resize(image, size, interpolation=mode, antialias=antialias)
        return resized

    sizes = torch.tensor([photo.shape[-2:] for photo in photos])
    boxes = random_boxes(sizes, transform.scale, transform.ratio)
    return _in_threads(resized_crop, photos, boxes.tolist())


def _in_threads(function: Callable[..., Tensor], *columns: Sequence[Any]) -> list[Tensor]:
    """Return the function's result for each photograph, computed in as many threads as torch uses.

    columns: the arguments of each call, in order.
    """
    n = min(torch.get_num_threads(), len(columns[0]))
    if n == 1:
        return list(map(function, *columns))
    rows = list(zip(*columns, strict=True))

    def share(first: int) -> list[Tensor]:
        return [function(*row) for row in rows[first::n]]

    shares = list(_pool(n).map(share, range(n)))
    return [shares[i % n][i // n] for i in range(len(rows))]


@cache
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="photographs")


KNOWN: dict[type, Callable[[Any, Photos], list[Tensor]]] = {
    **dict.fromkeys((Frame, v2.Resize, v1.Resize, v2.CenterCrop, v1.CenterCrop), _deterministic),
    **dict.fromkeys((v2.Pad, v2.Grayscale), _deterministic),
    **dict.fromkeys((v2.RandomHorizontalFlip, v1.RandomHorizontalFlip), _horizontal_flip),
    **dict.fromkeys((v2.RandomVerticalFlip, v1.RandomVerticalFlip), _vertical_flip),
    **dict.fromkeys((v2.RandomResizedCrop, v1.RandomResizedCrop), _resized_crop),
}
"""What applies a transform of exactly this class; a subclass may do something else."""
