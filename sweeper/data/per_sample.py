"""Image operations on a batch (N, C, H, W), with parameters (N,): one value for every image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def choose(mask: Tensor, if_true: Tensor, if_false: Tensor) -> Tensor:
    """Return the image of `if_true` where the mask (N,) bool is True, else that of `if_false`."""
    return torch.where(mask.view(-1, 1, 1, 1), if_true, if_false)


def crop(images: Tensor, top: Tensor, left: Tensor, size: Sequence[int]) -> Tensor:
    """Return a window of `size` (height, width) from every image.

    top, left: (N,) int64, the upper left corner of each window.
    """
    rows = top[:, None] + torch.arange(size[0], device=images.device)
    columns = left[:, None] + torch.arange(size[1], device=images.device)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    windows = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)


def erase(images: Tensor, box: tuple[Tensor, Tensor, Tensor, Tensor], value: Tensor) -> Tensor:
    """Return the images with the pixels inside each image's box replaced by `value`.

    box: top, left, height and width, each (N,); value: broadcastable to (N, C, H, W).
    """
    top, left, height, width = (side.view(-1, 1) for side in box)
    row = torch.arange(images.shape[-2], device=images.device)
    column = torch.arange(images.shape[-1], device=images.device)
    rows = (row >= top) & (row < top + height)
    columns = (column >= left) & (column < left + width)
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(inside, value.to(images.dtype), images)


def rotate(
    images: Tensor,
    degrees: Tensor,
    *,
    mode: str,
    center: Sequence[float] | None,
    fill: Sequence[float],
) -> Tensor:
    """Rotate every image counter-clockwise by its own angle about `center`, (x, y) in pixels.

    degrees: (N,) float32; mode: `nearest` or `bilinear`; fill: one value, or one a channel, for
    pixels from outside the image. `center` is the middle of the image by default.
    """
    height, width = images.shape[-2:]
    size = torch.tensor([width, height], dtype=torch.float32, device=images.device)
    middle = size / 2 if center is None else torch.tensor(center, device=images.device)
    # For each output pixel, grid_sample needs its source position, scaled to -1..1.
    source = _rotated(_pixel_centers(height, width, images.device) - middle, degrees) + middle
    grid = (2 * source / size - 1).view(-1, height, width, 2)
    # A channel of ones becomes the share of each output pixel that comes from inside the image.
    pixels = F.pad(images.float(), (0, 0, 0, 0, 0, 1), value=1.0)
    sampled = F.grid_sample(pixels, grid, mode=mode, align_corners=False)
    outside = torch.tensor(fill, device=images.device).view(1, -1, 1, 1)
    colours, inside = sampled[:, :-1], sampled[:, -1:]
    rotated = (colours - outside) * inside + outside  # the same blending as in torchvision
    return rotated if images.is_floating_point() else rotated.round().to(images.dtype)


def _pixel_centers(height: int, width: int, device: torch.device) -> Tensor:
    """Return x and y of the centre of every pixel: (height * width, 2) float32."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5,
        torch.arange(width, device=device) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y], dim=-1).view(-1, 2)


def _rotated(points: Tensor, degrees: Tensor) -> Tensor:
    """Rotate the points (P, 2) by each of the angles (N,), with y pointing down: (N, P, 2)."""
    angle = torch.deg2rad(degrees)
    sine, cosine = torch.sin(angle), torch.cos(angle)
    matrix = torch.stack([cosine, sine, -sine, cosine], dim=-1).view(-1, 2, 2)
    return points @ matrix
