"""Image files read as squares of pixels, several at a time."""

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


@dataclass(frozen=True)
class FileImages:
    """Image files that are decoded when indexed, scaled to `size` squared.

    `mode` is Pillow's name, L or RGB: a letter a channel.
    """

    paths: tuple[Path, ...]
    size: int
    mode: str

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.paths), len(self.mode), self.size, self.size

    def __getitem__(self, indices: Indices) -> NDArray[np.uint8]:
        """DataError, naming the file, when one cannot be decoded."""
        return np.stack(_in_threads(self._decoded, [self.paths[i] for i in indices]))

    def check_headers(self) -> None:
        """Open every file without decoding it; DataError for the first that is not an image."""
        _in_threads(lambda path: _reading(path, lambda image: None), self.paths)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        return _reading(path, self._pixels)

    def _pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        if image.mode.startswith("I;16"):  # convert() would clip all above 255
            image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
        image.draft(self.mode, (self.size, self.size))  # a JPEG far larger is decoded at a fraction
        square = image.convert(self.mode).resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(square).reshape(self.size, self.size, -1).transpose(2, 0, 1)


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
