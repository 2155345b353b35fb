"""From a network's input back to pictures: the exact inverse of normalisation."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from sweeper.errors import DataError


def to_uint8(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalised images (N, C, H, W) back to the uint8 pixels they were made of.

    In float64, so that rounding returns each of the 256 levels whatever mean and std were.
    """
    pixels = images.detach().to("cpu", torch.float64)
    scale = torch.tensor(std, dtype=torch.float64).view(-1, 1, 1)
    offset = torch.tensor(mean, dtype=torch.float64).view(-1, 1, 1)
    return ((pixels * scale + offset) * 255).round().clamp(0, 255).to(torch.uint8)


def to_pil(image: Tensor) -> Image.Image:
    """A uint8 image (1 or 3, H, W) as a picture; anything else is a DataError."""
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
        raise DataError(
            f"a picture is a uint8 tensor of shape (1 or 3, H, W), "
            f"but got {image.dtype} of shape {tuple(image.shape)}"
        )
    pixels = image.cpu()
    array = pixels[0] if image.shape[0] == 1 else pixels.permute(1, 2, 0)
    return Image.fromarray(array.contiguous().numpy())


def to_pictures(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[Image.Image]:
    """Normalised images (N, 1 or 3, H, W) as pictures; DataError for any other shape."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(mean) != images.shape[1]:
        raise DataError(
            f"pictures are made of images (N, C, H, W) with 1 or 3 channels and as many means, "
            f"but got shape {tuple(images.shape)} and {len(mean)} means"
        )
    return [to_pil(image) for image in to_uint8(images, mean, std)]
