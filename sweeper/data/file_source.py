"""Data sets of image files: their splits, decoded to one size or with proportions as they are."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sweeper.data.contents import digest_of_files
from sweeper.data.decoding import Decoding
from sweeper.data.image_files import FileImages, FilePhotographs
from sweeper.data.source import Decoded, Indices, Source, Split, fingerprint

Labels = tuple[Indices, tuple[str, ...]]
"""The labels of a split, (N, ...), and the names of the classes."""


@dataclass(frozen=True)
class LabelledFiles:
    """The image files of a split, and a function that reads their labels.

    mode: Pillow's mode of the decoded images, L or RGB.
    key: the values, beside files and decoding, that the images or labels depend on.
    """

    paths: tuple[Path, ...]
    mode: str
    labels: Callable[[], Labels]
    key: Mapping[str, Any]

    def split(self, decoding: Decoding) -> Split:
        """Return the split that decodes its files in this way."""
        files = decoded_files(self.paths, self.mode, decoding)

        def load() -> Decoded:
            return Decoded(files, *self.labels())

        def stream() -> Decoded:
            files.check_headers()
            return load()

        def contents() -> str:
            labels, classes = self.labels()
            settings = {"classes": classes, "mode": self.mode, **asdict(decoding)}
            return digest_of_files(self.paths, labels, settings)

        key = fingerprint({**self.key, "mode": self.mode, **decoding.key()}, self.paths)
        nbytes = prod(files.shape) if isinstance(files, FileImages) else None
        return Split(key, load, stream, nbytes, contents)


def decoded_files(
    paths: tuple[Path, ...], mode: str, decoding: Decoding
) -> FileImages | FilePhotographs:
    """Return image files that are decoded in this way, on access."""
    if decoding.size is None:
        return FilePhotographs(paths, mode, decoding)
    return FileImages(paths, mode, decoding)


@runtime_checkable
class FileSource(Protocol):
    """A data set of image files, which are decoded as the settings of the run say.

    Like a `Source` it may have an attribute `label_type` and a method `describe`.
    """

    name: str

    def files(self) -> dict[str, LabelledFiles]:
        """Return the files of `train`, and of `val` and `test` if there are any."""


DataSet = Source | FileSource
"""A data set: it decodes its images itself, or names files."""
