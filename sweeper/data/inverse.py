"""PIL images of a network's input: the exact inverse of normalisation."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from sweeper.errors import DataError

CHANNELS = (1, 3)
"""The numbers of channels that a picture can have."""


def to_uint8(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return the pixels (N, C, H, W) uint8 of normalised images (N, C, H, W) float.

    The computation is in float64, so that all 256 levels come back exactly for any mean and std.
    """
    normalised = images.detach().to("cpu", torch.float64)
    scale = torch.tensor(std, dtype=torch.float64).view(-1, 1, 1)
    offset = torch.tensor(mean, dtype=torch.float64).view(-1, 1, 1)
    return ((normalised * scale + offset) * 255).round().clamp(0, 255).to(torch.uint8)


def to_pil(image: Tensor) -> Image.Image:
    """Return a PIL image of the pixels (1 or 3, H, W) uint8.

    Raises:
        DataError: the tensor has another dtype or shape.
    """
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in CHANNELS:
        raise DataError(
            f"a picture must be a uint8 tensor of shape (1 or 3, H, W), "
            f"but got {image.dtype} of shape {tuple(image.shape)}"
        )
    pixels = image.cpu()
    array = pixels[0] if image.shape[0] == 1 else pixels.permute(1, 2, 0)
    return Image.fromarray(array.contiguous().numpy())


def to_pictures(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[Image.Image]:
    """Return PIL images of normalised images (N, 1 or 3, H, W) float.

    Raises:
        DataError: the images have another shape, or other than one mean a channel.
    """
    if images.ndim != 4 or images.shape[1] not in CHANNELS or len(mean) != images.shape[1]:
        raise DataError(
            f"pictures need images (N, C, H, W) with 1 or 3 channels and one mean a channel, "
            f"but got shape {tuple(images.shape)} and {len(mean)} means"
        )
    return [to_pil(image) for image in to_uint8(images, mean, std)]
