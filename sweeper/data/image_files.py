"""Image files decoded to pixels, several at a time: all in one size, or each in its own."""

import logging
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sweeper.data.decoding import Decoding, upright_size
from sweeper.data.framing import Size
from sweeper.data.inverse import to_pil
from sweeper.data.source import Indices
from sweeper.errors import DataError
from sweeper.files import reason_of
from sweeper.text import in_one_line

log = logging.getLogger(__name__)

A = TypeVar("A")
T = TypeVar("T")

MODES = {1: "L", 3: "RGB"}
"""Pillow's modes by the number of channels."""
SUFFIXES = {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"}
SUFFIXES |= {".tif", ".tiff", ".webp"}
FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF"),
    *("JPEG2000", "ICO", "ICNS", "TGA", "PCX", "DDS", "SGI", "QOI"),
)
"""Pillow's formats of the files with these suffixes, and of others that a user may name one by one.
It has more, which start programs, or read files that an image names, and it goes by the content of
a file."""
UNREAD = {".dng", ".heic", ".heif", ".jxl", ".psd", ".raw", ".svg"}
"""Images that a user may expect to be read, and Pillow cannot."""
AHEAD = 16
"""The images that are decoded before they are asked for."""


def image_paths(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted, without hidden files and folders.

    Links to files are followed, because a data set may consist of links to the images of a larger
    one. Links to folders below `folder` are not: they may lead around in a circle. A user is told
    of them, and of images that Pillow does not read.

    Raises:
        DataError: there is no image file, a link leads to a file that does not exist, or a folder
            cannot be read.
    """
    paths: list[Path] = []
    others: list[Path] = []
    try:
        for path in sorted(_shown(folder)):
            readable = path.suffix.lower() in SUFFIXES and _is_file(path)
            (paths if readable else others).append(path)
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read: {reason_of(error)}") from error
    if unread := [path.name for path in others if path.suffix.lower() in UNREAD]:
        shown = unread[0], len(unread), folder
        log.warning(
            "images such as %s are not read (%d below %s); save them as JPEG or PNG", *shown
        )
    for path in others:
        if path.is_symlink() and path.is_dir():
            log.warning("%s is a link to a folder, and is not read; link to its images", path)
    if not paths:
        raise DataError(f"{folder} contains no image; add some, or remove the folder")
    return paths


def _shown(folder: Path) -> Iterator[Path]:
    """Yield the files and folders below a folder, without hidden ones.

    Raises:
        OSError: a folder cannot be read. Others than `os.walk` would leave out what is in it.
    """

    def stop(error: OSError) -> None:
        raise error

    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = [*folders, *(name for name in files if not name.startswith("."))]
        yield from (Path(parent, name) for name in names)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if path.is_symlink() and not path.exists():
            raise DataError(
                f"{path} is a link to a file that does not exist; remove the link"
            ) from error
        raise


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
    """Image files that are decoded on access, all in one size.

    `mode` is Pillow's mode, L or RGB: one letter a channel. `decoding` has the `size`.
    """

    paths: tuple[Path, ...]
    mode: str
    decoding: Decoding

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images, (N, C, H, W)."""
        assert self.decoding.size is not None
        return len(self.paths), len(self.mode), *self.decoding.size

    def __getitem__(self, indices: Indices) -> NDArray[np.uint8]:
        """Decode the images with these indices, (n, C, H, W) uint8.

        Raises:
            DataError: a file cannot be decoded.
        """
        return np.stack(list(in_threads(self._pixels, [self.paths[i] for i in indices])))

    def check_headers(self) -> None:
        """Open every file without decoding it.

        Raises:
            DataError: a file is not an image.
        """
        _sizes(self.paths)

    def pictures(self, indices: Sequence[int]) -> list[Image.Image]:
        """Return the decoded images with these indices as PIL images.

        Raises:
            DataError: a file cannot be decoded.
        """
        return [to_pil(torch.from_numpy(image)) for image in self[np.array(indices)]]

    def _pixels(self, path: Path) -> NDArray[np.uint8]:
        """Return the pixels of the image in the file, (C, H, W) uint8."""
        pixels = with_image(path, lambda image: self.decoding.pixels(image, self.mode))
        return pixels.transpose(2, 0, 1)


@dataclass(frozen=True)
class FilePhotographs:
    """Image files that are decoded on access, each in its own size.

    `mode` is Pillow's mode, L or RGB: one letter a channel. `decoding` has no `size`.
    """

    paths: tuple[Path, ...]
    mode: str
    decoding: Decoding

    @property
    def channels(self) -> int:
        """The number of channels."""
        return len(self.mode)

    @cached_property
    def sizes(self) -> Indices:
        """Height and width of each decoded photograph, (N, 2), from the headers of the files.

        Raises:
            DataError: a file is not an image.
        """
        sizes = [self.decoding.scaled_size(size) for size in _sizes(self.paths)]
        return np.array(sizes, dtype=np.int64).reshape(-1, 2)

    def check_headers(self) -> None:
        """Open every file without decoding it.

        Raises:
            DataError: a file is not an image.
        """
        _ = self.sizes

    @property
    def nbytes(self) -> int:
        """The size of all decoded photographs."""
        return int(self.sizes.prod(axis=1).sum()) * self.channels

    def __getitem__(self, indices: Indices) -> list[NDArray[np.uint8]]:
        """Decode the photographs with these indices, each (H, W, C) uint8.

        Raises:
            DataError: a file cannot be decoded.
        """
        return list(in_threads(self.decode, [self.paths[i] for i in indices]))

    def pictures(self, indices: Sequence[int]) -> list[Image.Image]:
        """Return the decoded photographs with these indices as PIL images.

        Raises:
            DataError: a file cannot be decoded.
        """
        images = (torch.tensor(image).permute(2, 0, 1) for image in self[np.array(indices)])
        return list(map(to_pil, images))

    def decode(self, path: Path) -> NDArray[np.uint8]:
        """Return the photograph in the file, (H, W, C) uint8.

        Raises:
            DataError: the file cannot be decoded.
        """
        return with_image(path, lambda image: self.decoding.pixels(image, self.mode))


def _sizes(paths: Iterable[Path]) -> list[Size]:
    return list(in_threads(lambda path: with_image(path, upright_size), paths))


def picture_of(path: Path, decoding: Decoding) -> Image.Image:
    """Return an image file in colour, as the decoding says.

    Raises:
        DataError: the file cannot be read as an image.
    """
    return Image.fromarray(with_image(path, lambda image: decoding.pixels(image, "RGB")))


def with_image(path: Path, function: Callable[[Image.Image], T]) -> T:
    """Return the result of the function on the opened image file.

    Raises:
        DataError: the file cannot be read as an image.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            return function(image)
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path} cannot be read as an image: it has none of the formats {', '.join(FORMATS)}; "
            "save it as JPEG or PNG"
        ) from error
    except Exception as error:  # for damaged files, Pillow's decoders raise errors of many types
        reason = in_one_line(error) or type(error).__name__
        raise DataError(f"{path} cannot be read as an image: {reason}") from error


def in_threads(function: Callable[[A], T], items: Iterable[A]) -> Iterator[T]:
    """Yield the result of the function for each item, in order; a few are computed ahead."""
    with ThreadPoolExecutor() as pool:  # Pillow releases the interpreter lock while it decodes
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
