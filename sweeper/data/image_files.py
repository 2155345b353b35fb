"""Image files read as pixels of one size, several at a time."""

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
SIXTEEN_BITS = {"PNG", "PPM"}
"""Pillow's names of formats whose pixels of mode I go up to 65535."""
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def image_paths(folder: Path) -> list[Path]:
    """The image files below a folder, by name, hidden ones left out; DataError for none."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise DataError(f"{folder} holds no image; add some, or remove the folder")
    return found


def mode_of(channels: int) -> str:
    """Pillow's mode for images of 1 or 3 channels; DataError for any other number."""
    if channels not in MODES:
        raise DataError(f"image files have 1 or 3 channels, not {channels}")
    return MODES[channels]


@dataclass(frozen=True)
class FileImages:
    """Image files that are decoded when indexed, scaled to `size`, (height, width).

    `mode` is Pillow's name, L or RGB: a letter a channel.
    """

    paths: tuple[Path, ...]
    size: tuple[int, int]
    mode: str

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.paths), len(self.mode), *self.size

    def __getitem__(self, indices: Indices) -> NDArray[np.uint8]:
        """DataError, naming the file, when one cannot be decoded."""
        return np.stack(_in_threads(self._decoded, [self.paths[i] for i in indices]))

    def check_headers(self) -> None:
        """Open every file without decoding it; DataError for the first that is not an image."""
        _in_threads(lambda path: _reading(path, lambda image: None), self.paths)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        return _reading(path, self._pixels)

    def _pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format in SIXTEEN_BITS):
            # convert() would clip all above 255
            image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ValueError("its pixels have 32 bits; save it with 8 or 16")
        height, width = self.size
        image.draft(self.mode, (width, height))  # a JPEG far larger is decoded at a fraction
        scaled = image.convert(self.mode).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(scaled).reshape(height, width, -1).transpose(2, 0, 1)


def _reading(path: Path, use: Callable[[Image.Image], T]) -> T:
    try:
        with Image.open(path) as image:
            return use(image)
    # What Pillow raises for damaged files of one format or another.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error


def _in_threads(work: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
        return list(pool.map(work, paths))
