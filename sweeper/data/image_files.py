"""Image files decoded to pixels of one size, several at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.data.source import Indices
from sweeper.errors import DataError

T = TypeVar("T")

MODES = {1: "L", 3: "RGB"}
"""Pillow's modes by the number of channels."""
SIXTEEN_BIT_FORMATS = {"PNG", "PPM"}
"""Pillow's formats whose pixels of mode I go up to 65535."""
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def image_paths(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted, without hidden files and folders.

    Links to files are followed, because a data set may consist of links to the images of a larger
    one. Links to folders below `folder` are not: they may lead around in a circle.

    Raises:
        DataError: there is no image file, or a link leads to a file that does not exist.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and _is_file(path)
    )
    if not paths:
        raise DataError(f"{folder} contains no image; add some, or remove the folder")
    return paths


def _is_file(path: Path) -> bool:
    if path.is_file():
        return True
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to a file that does not exist; remove the link")
    return False


def pillow_mode(channels: int) -> str:
    """Return Pillow's mode for images of 1 or 3 channels.

    Raises:
        DataError: the number of channels is neither 1 nor 3.
    """
    if channels not in MODES:
        raise DataError(f"image files have 1 or 3 channels, not {channels}")
    return MODES[channels]


@dataclass(frozen=True)
class FileImages:
    """Image files that are decoded on access and resized to `size`, (height, width).

    `mode` is Pillow's mode, L or RGB: one letter a channel.
    """

    paths: tuple[Path, ...]
    size: tuple[int, int]
    mode: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images, (N, C, H, W)."""
        return len(self.paths), len(self.mode), *self.size

    def __getitem__(self, indices: Indices) -> NDArray[np.uint8]:
        """Decode the images with these indices, (n, C, H, W) uint8.

        Raises:
            DataError: a file cannot be decoded.
        """
        return np.stack(_in_threads(self._decoded, [self.paths[i] for i in indices]))

    def check_headers(self) -> None:
        """Open every file without decoding it.

        Raises:
            DataError: a file is not an image.
        """
        _in_threads(lambda path: _with_image(path, lambda image: None), self.paths)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        return _with_image(path, self._pixels)

    def _pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the pixels of the image in `mode` and `size`, (C, H, W)."""
        if image.mode.startswith("I;16") or (
            image.mode == "I" and image.format in SIXTEEN_BIT_FORMATS
        ):
            # convert() would clip all levels above 255
            image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ValueError("its pixels have 32 bits; save it with 8 or 16")
        height, width = self.size
        image.draft(self.mode, (width, height))  # decodes a much larger JPEG at a reduced scale
        scaled = image.convert(self.mode).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(scaled).reshape(height, width, -1).transpose(2, 0, 1)


def _with_image(path: Path, function: Callable[[Image.Image], T]) -> T:
    """Return the result of the function on the opened image file."""
    try:
        with Image.open(path) as image:
            return function(image)
    # Pillow raises different errors for damaged files of different formats.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error


def _in_threads(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    with ThreadPoolExecutor() as pool:  # Pillow releases the interpreter lock while it decodes
        return list(pool.map(function, paths))
