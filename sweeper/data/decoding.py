"""The pixels of an image file, decoded with Pillow: upright, opaque, of 8 bits, in one mode."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageColor, ImageOps

from sweeper.data.framing import Resize, Size, centre, limited_size, scaled_size
from sweeper.errors import ConfigError

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

WHITE: Colour = (255, 255, 255)
SIXTEEN_BIT_FORMATS = {"PNG", "PPM"}
"""Pillow's formats whose pixels of mode I go up to 65535."""
VERSION = 2
"""Increased when the same settings give other pixels, so that no older cache is read."""
SIDEWAYS = {5, 6, 7, 8}
"""The EXIF orientations of images that are stored with height and width exchanged."""


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels.

    With a `size`, every image gets it as `resize` says. Without, images keep their proportions,
    and one whose shorter side is longer than `side_limit` is reduced to it. `background` is what
    shows through transparent pixels.
    """

    size: Size | None
    resize: Resize = "crop"
    side_limit: int | None = None
    background: Colour = WHITE

    def key(self) -> dict[str, Any]:
        """Return what a fingerprint of decoded images depends on."""
        return {"decoding": VERSION, **asdict(self)}

    def scaled_size(self, size: Size) -> Size:
        """Return the size that an image of this size is scaled to."""
        if self.size is None:
            return limited_size(size, self.side_limit)
        return scaled_size(size, self.size, self.resize)

    def pixels(self, image: Image.Image, mode: str) -> NDArray[np.uint8]:
        """Return the pixels of an opened image file, (H, W, C) uint8.

        `mode` is Pillow's, L or RGB: one letter a channel.

        Raises:
            ValueError: the pixels have 32 bits.
            OSError: the file is damaged.
        """
        orientation = _orientation(image)
        height, width = self.scaled_size(_turned((image.height, image.width), orientation))
        stored_height, stored_width = _turned((height, width), orientation)
        image.draft(mode, (stored_width, stored_height))  # decodes a large JPEG at reduced scale
        image = _opaque(_upright(_eight_bit(image), orientation), mode, self.background)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        if self.size is not None and self.size != (height, width):
            top, left = centre((height, width), self.size)
            image = image.crop((left, top, left + self.size[1], top + self.size[0]))
        return np.asarray(image).reshape(image.height, image.width, len(mode))


def upright_size(image: Image.Image) -> Size:
    """Return height and width of an opened image file, as it is shown."""
    size = image.height, image.width
    # A PNG file may hold its orientation behind its pixels. To find it, all would be decoded.
    if image.format == "PNG" and "exif" not in image.info:
        return size
    return _turned(size, _orientation(image))


def colour(value: str | Sequence[int], key: str) -> Colour:
    """Return a colour of the config: a name or code that Pillow knows, or three levels.

    Raises:
        ConfigError: it is neither; the message quotes `key`.
    """
    levels = _levels(value) if isinstance(value, str) else value
    if len(levels) != 3 or not all(0 <= level <= 255 for level in levels):
        raise ConfigError(
            f"{key}={value}: expected a colour; type its name such as white, or its levels of red, "
            f"green and blue such as [255,255,255]"
        )
    return levels[0], levels[1], levels[2]


def _levels(name: str) -> Sequence[int]:
    """Return the levels of a colour that Pillow knows, or none."""
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        return ()


def _turned(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in SIDEWAYS else size


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of the pixels that Pillow decodes, 1 to 8."""
    if image.format == "TIFF":
        return 1  # Pillow turns these while it decodes them
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's parser raises errors of any type for EXIF data that is damaged
        return 1  # as viewers show it
    return orientation if orientation in range(1, 9) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    # Pillow writes all EXIF data anew, which fails for tags that it cannot write.
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    plain = image.copy()
    plain.info = {key: image.info[key] for key in {"transparency"} & image.info.keys()}
    plain.info["exif"] = exif.tobytes()
    return ImageOps.exif_transpose(plain)


def _eight_bit(image: Image.Image) -> Image.Image:
    if not (
        image.mode.startswith("I;16") or (image.mode == "I" and image.format in SIXTEEN_BIT_FORMATS)
    ):
        if image.mode in ("I", "F"):
            raise ValueError("its pixels have 32 bits; save it with 8 or 16")
        return image
    levels = np.asarray(image)
    # convert() would clip all levels above 255
    reduced = Image.fromarray((levels // 256).astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is not None:
        shown = np.where(levels == hidden, 0, 255).astype(np.uint8)
        reduced = Image.merge("LA", (reduced, Image.fromarray(shown)))
    return reduced


def _opaque(image: Image.Image, mode: str, background: Colour) -> Image.Image:
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, (*background, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    return image if image.mode == mode else image.convert(mode)
