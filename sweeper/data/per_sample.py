"""Image operations on a batch (N, C, H, W) with parameters (N,) of its own for every image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Image by image `yes` where the mask (N,) says so, else `no`."""
    return torch.where(mask.view(-1, 1, 1, 1), yes, no)


def crop(images: Tensor, top: Tensor, left: Tensor, size: Sequence[int]) -> Tensor:
    """A window of `size` (height, width) from every image, at its own corner."""
    rows = top[:, None] + torch.arange(size[0], device=images.device)
    columns = left[:, None] + torch.arange(size[1], device=images.device)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    windows = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)


def erase(images: Tensor, box: tuple[Tensor, Tensor, Tensor, Tensor], value: Tensor) -> Tensor:
    """The images with their boxes (top, left, height, width) replaced by `value`."""
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
    """Every image turned counter-clockwise by its own angle, about `center` (x, y) in pixels.

    `mode`: nearest or bilinear. What comes from outside the image takes the value `fill`.
    """
    height, width = images.shape[-2:]
    size = torch.tensor([width, height], dtype=torch.float32, device=images.device)
    middle = size / 2 if center is None else torch.tensor(center, device=images.device)
    # grid_sample asks for each output pixel where it comes from, in -1..1 over the image.
    source = _rotated(_pixel_centers(height, width, images.device) - middle, degrees) + middle
    grid = (2 * source / size - 1).view(-1, height, width, 2)
    # An added channel of ones tells how much of each output pixel lies inside the image.
    pixels = F.pad(images.float(), (0, 0, 0, 0, 0, 1), value=1.0)
    sampled = F.grid_sample(pixels, grid, mode=mode, align_corners=False)
    outside = torch.tensor(fill, device=images.device).view(1, -1, 1, 1)
    colours, inside = sampled[:, :-1], sampled[:, -1:]
    turned = (colours - outside) * inside + outside  # as torchvision mixes them
    return turned if images.is_floating_point() else turned.round().to(images.dtype)


def _pixel_centers(height: int, width: int, device: torch.device) -> Tensor:
    """(height * width, 2): x and y of every pixel's centre."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5,
        torch.arange(width, device=device) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y], dim=-1).view(-1, 2)


def _rotated(points: Tensor, degrees: Tensor) -> Tensor:
    """(N, P, 2): the points (P, 2) turned by each of the angles, y pointing down."""
    angle = torch.deg2rad(degrees)
    sine, cosine = torch.sin(angle), torch.cos(angle)
    matrix = torch.stack([cosine, sine, -sine, cosine], dim=-1).view(-1, 2, 2)
    return points @ matrix
