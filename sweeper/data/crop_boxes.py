"""The boxes of `RandomResizedCrop`, drawn for many images at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

ATTEMPTS = 10  # the number that torchvision uses


def random_boxes(sizes: Tensor, scale: Sequence[float], ratio: Sequence[float]) -> Tensor:
    """Return a random box inside every image: top, left, height and width, (N, 4) int64.

    sizes: (N, 2) int64, height and width of each image.
    scale: the bounds of the box's share of the image's area.
    ratio: the bounds of width / height.

    As in torchvision, up to ATTEMPTS boxes are drawn and the first one that fits is taken. If none
    fits, it is the largest box in the centre whose ratio is within the bounds.
    """
    n = len(sizes)
    image_height, image_width = (side[:, None] for side in sizes.double().unbind(1))
    random_area, random_ratio = torch.rand(2, n, ATTEMPTS, dtype=torch.float64)
    area = image_height * image_width * (scale[0] + (scale[1] - scale[0]) * random_area)
    low, high = torch.tensor(ratio, dtype=torch.float64).log().tolist()
    aspect = torch.exp(low + (high - low) * random_ratio)
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width > 0) & (width <= image_width) & (height > 0) & (height <= image_height)
    first = fits.int().argmax(dim=1, keepdim=True)
    whole = image_width / image_height
    central_width = torch.where(
        whole > max(ratio), (image_height * max(ratio)).round(), image_width
    )
    central_height = torch.where(
        whole < min(ratio), (image_width / min(ratio)).round(), image_height
    )
    found = fits.any(dim=1, keepdim=True)
    width = torch.where(found, width.gather(1, first), central_width)
    height = torch.where(found, height.gather(1, first), central_height)
    room = torch.cat([image_height - height, image_width - width], dim=1)
    corner = (torch.rand(n, 2, dtype=torch.float64) * (room + 1)).floor()
    corner = torch.where(found, corner, (room / 2).floor())
    return torch.cat([corner, height, width], dim=1).long()
