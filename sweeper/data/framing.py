"""Heights and widths: what `data.image_size` and `data.resize` make of the size of an image."""

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]
"""Height and width in pixels."""

ImageSize = PositiveInt | tuple[PositiveInt, PositiveInt]
"""The type of `data.image_size`: the side of a square, or height and width in pixels."""

Resize = Literal["crop", "squash"]
"""How an image gets a size. `crop` scales it until it covers the size, and cuts out the centre.
`squash` scales height and width each by itself, so that proportions are lost."""


def scaled_size(size: Size, frame: Size, resize: Resize) -> Size:
    """Return the size that an image of `size` is scaled to before it is cut to `frame`.

    Rounded as torchvision's `Resize` does it.
    """
    height, width = size
    if resize == "squash":
        return frame
    if frame[0] * width >= frame[1] * height:
        return frame[0], frame[0] * width // height
    return frame[1] * height // width, frame[1]


def centre(size: Size, frame: Size) -> Size:
    """Return top and left of the window of size `frame` in the centre, as `CenterCrop` does."""
    return round((size[0] - frame[0]) / 2), round((size[1] - frame[1]) / 2)


def limited_size(size: Size, side_limit: int | None) -> Size:
    """Return the size with the same proportions whose shorter side is at most `side_limit`."""
    if side_limit is None or min(size) <= side_limit:
        return size
    return scaled_size(size, (side_limit, side_limit), "crop")


def resized(images: Tensor, size: Size) -> Tensor:
    """Resize images (N, C, H, W) to this height and width, bilinearly, in their own dtype."""
    shrinks = size[0] < images.shape[-2] or size[1] < images.shape[-1]
    scaled = F.interpolate(images.float(), size, mode="bilinear", antialias=shrinks)
    return scaled if images.is_floating_point() else scaled.round().clamp(0, 255).to(images.dtype)


def framed(images: Tensor, frame: Size, resize: Resize) -> Tensor:
    """Return images (N, C, H, W) of any one size in the size `frame`: (N, C, *frame)."""
    size = (images.shape[-2], images.shape[-1])
    if size == frame:
        return images
    scaled = scaled_size(size, frame, resize)
    top, left = centre(scaled, frame)
    images = images if scaled == size else resized(images, scaled)
    return images[..., top : top + frame[0], left : left + frame[1]]
