"""torchvision's transforms on whole batches, with random parameters for every image.

A random transform of v2 draws its parameters once a call, so it would flip a whole batch or none
of it. The common transforms are vectorised here, with torchvision's parameters and distributions.
Any other transform is called image by image, and so is a subclass, which may do something else. All
use torch's global random state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from sweeper.data import per_sample
from sweeper.data.source import Transform

ERASE_ATTEMPTS = 10  # the number that torchvision uses


def batched(transform: Transform) -> Transform:
    """Return a callable that applies the transform to a batch: (N, C, H, W) in, (N, ...) out."""
    return _Batched(transform)


@dataclass(frozen=True)
class _Batched:
    transform: Transform

    def __call__(self, images: Tensor) -> Tensor:
        return augment(self.transform, images)

    def __str__(self) -> str:
        return str(self.transform)


def augment(transform: Any, images: Tensor) -> Tensor:
    """Apply the transform to images (N, C, H, W), with random parameters for every image."""
    return VECTORISED.get(type(transform), _image_by_image)(transform, images)


def _image_by_image(transform: Any, images: Tensor) -> Tensor:
    return torch.stack([transform(image) for image in images])


def _deterministic(transform: Any, images: Tensor) -> Tensor:
    return transform(images)  # type: ignore[no-any-return]


def _horizontal_flip(transform: Any, images: Tensor) -> Tensor:
    return per_sample.choose(_bernoulli(transform.p, images), images.flip(-1), images)


def _vertical_flip(transform: Any, images: Tensor) -> Tensor:
    return per_sample.choose(_bernoulli(transform.p, images), images.flip(-2), images)


def _grayscale(transform: Any, images: Tensor) -> Tensor:
    gray = TF.rgb_to_grayscale(images, num_output_channels=images.shape[1])
    return per_sample.choose(_bernoulli(transform.p, images), gray, images)


def _crop(transform: Any, images: Tensor) -> Tensor:
    # This computes the padding, and raises an error if the crop is too large.
    params = transform.make_params([images])
    if params["needs_pad"]:
        images = TF.pad(images, params["padding"], transform.fill, transform.padding_mode)
    height, width = transform.size
    top = _random_integers(images.shape[-2] - height, images)
    left = _random_integers(images.shape[-1] - width, images)
    return per_sample.crop(images, top, left, (height, width))


def _rotation(transform: Any, images: Tensor) -> Tensor:
    if transform.expand or isinstance(transform.fill, dict):
        return _image_by_image(transform, images)
    fill = transform.fill if isinstance(transform.fill, (list, tuple)) else [transform.fill or 0]
    return per_sample.rotate(
        images,
        _uniform(transform.degrees, (len(images),), images),
        mode=v2.InterpolationMode(transform.interpolation).value,  # it may be a plain name
        center=transform.center,
        fill=[float(level) for level in fill],
    )


def _erasing(transform: Any, images: Tensor) -> Tensor:
    box, fits = erasing_boxes(transform, images)
    erased = per_sample.erase(images, box, _erasing_value(transform, images))
    return per_sample.choose(_bernoulli(transform.p, images) & fits, erased, images)


def erasing_boxes(
    transform: Any, images: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return a random box for every image, and a mask of the images whose box fits inside.

    The box is (top, left, height, width), each (N,) float32; the mask is (N,) bool. Like
    torchvision, this draws up to ERASE_ATTEMPTS boxes and takes the first that fits.
    """
    image_height, image_width = images.shape[-2:]
    shape = (len(images), ERASE_ATTEMPTS)
    area = image_height * image_width * _uniform(transform.scale, shape, images)
    low, high = torch.log(torch.tensor(transform.ratio)).tolist()
    ratio = torch.exp(_uniform((low, high), shape, images))
    height, width = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (height < image_height) & (width < image_width)
    first_fit = fits.int().argmax(dim=1, keepdim=True)
    height, width = height.gather(1, first_fit)[:, 0], width.gather(1, first_fit)[:, 0]
    top = (_uniform((0, 1), shape[:1], images) * (image_height - height + 1)).floor()
    left = (_uniform((0, 1), shape[:1], images) * (image_width - width + 1)).floor()
    return (top, left, height, width), fits.any(dim=1)


def _erasing_value(transform: Any, images: Tensor) -> Tensor:
    """Return the value of erased pixels, broadcastable to (N, C, H, W)."""
    if transform.value is not None:
        return torch.tensor(transform.value, device=images.device).view(1, -1, 1, 1)
    # torchvision's "random" is normal noise. Cast to uint8, it would only have levels 0, 1 and 255.
    noise = torch.randn(images.shape, device=images.device)
    return noise if images.is_floating_point() else ((noise + 3) * (255 / 6)).clamp(0, 255)


def _bernoulli(p: float, images: Tensor) -> Tensor:
    """Return a mask (N,) bool whose elements are True with probability `p`."""
    return torch.rand(len(images), device=images.device) < p


def _uniform(bounds: Sequence[float], shape: tuple[int, ...], images: Tensor) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, device=images.device)


def _random_integers(highest: int, images: Tensor) -> Tensor:
    """Return an integer from 0 to `highest` for every image: (N,) int64."""
    return torch.randint(0, highest + 1, (len(images),), device=images.device)


VECTORISED: dict[type, Callable[[Any, Tensor], Tensor]] = {
    **dict.fromkeys((v2.Resize, v2.CenterCrop, v2.Pad), _deterministic),
    **dict.fromkeys((v2.Grayscale, v2.RGB, v2.Normalize, v2.ToDtype, v2.Identity), _deterministic),
    v2.RandomHorizontalFlip: _horizontal_flip,
    v2.RandomVerticalFlip: _vertical_flip,
    v2.RandomGrayscale: _grayscale,
    v2.RandomCrop: _crop,
    v2.RandomRotation: _rotation,
    v2.RandomErasing: _erasing,
}
"""What applies a transform of exactly this class to a batch."""
