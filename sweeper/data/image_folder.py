"""Images in one folder a class, in the root itself or below `train`, `val` and `test`."""

from dataclasses import dataclass
from functools import partial
from mimetypes import guess_type
from pathlib import Path
from typing import Literal

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.file_source import LabelledFiles
from sweeper.data.framing import Size
from sweeper.data.image_files import image_paths, pillow_mode
from sweeper.data.source import Indices, required_size
from sweeper.data.split import FIXED_SEED, hold_out, permutation
from sweeper.errors import DataError
from sweeper.files import reason_of
from sweeper.schema import Probability

CHANNELS = {"rgb": 3, "gray": 1}
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""What people call the folders of splits, in any case of letters."""


class ImageFolder:
    """Images of any size.

    Without a `test` folder, a part of the training images is held out as the test split.
    """

    name = "image_folder"

    def __init__(
        self, root: str, channels: Literal["rgb", "gray"], test_fraction: Probability
    ) -> None:
        self._root = Path(root).expanduser().absolute()
        self._mode = pillow_mode(CHANNELS[channels])
        self._test_fraction = test_fraction

    def describe(self, image_size: int | Size | None) -> Description:
        """Describe the images from the names of the class folders, without opening a file.

        Raises:
            ConfigError: `image_size` is None.
            DataError: a folder is missing or has an unexpected name.
        """
        size = required_size(self.name, image_size)
        return Description((len(self._mode), *size), len(_classes(self._train_folder())))

    def files(self) -> dict[str, LabelledFiles]:
        """Return the files of `train`, and of `val` and `test` if there are any.

        Raises:
            DataError: a folder is missing, is empty or has an unexpected name.
        """
        return {
            name: LabelledFiles(
                listing.paths,
                self._mode,
                partial(_labels, listing),
                {"source": self.name, "classes": listing.classes},
            )
            for name, listing in self._listings().items()
        }

    def _train_folder(self) -> Path:
        if not self._root.is_dir():
            raise DataError(f"data.root={self._root} is not a folder; type data.root=FOLDER")
        train = self._root / "train"
        self._check_names(train)
        return train if train.is_dir() else self._root

    def _listings(self) -> dict[str, "Listing"]:
        train = self._train_folder()
        listings = {"train": Listing.from_folder(train, _classes(train))}
        if train != self._root:
            for name in ("val", "test"):
                if (self._root / name).is_dir():
                    classes = listings["train"].classes
                    listings[name] = Listing.from_folder(self._root / name, classes)
        if "test" not in listings and self._test_fraction > 0:
            listings["train"], listings["test"] = listings["train"].hold_out(self._test_fraction)
        return listings

    def _check_names(self, train: Path) -> None:
        """Raise DataError for a split that would be ignored, or be read as a class."""
        names = _subfolders(self._root)
        splits = [name for name in names if name.lower() in SPLITS]
        if splits and not train.is_dir():
            raise DataError(
                f"{self._root} has a folder {splits[0]}, but none called train; call the folders "
                "of the splits train, val and test"
            )
        unknown = [name for name in names if name not in ("train", "val", "test")]
        if train.is_dir() and unknown:
            raise DataError(
                f"{self._root / unknown[0]} is not a split: beside train, only val and test can "
                "be; call it so, or move it away"
            )


@dataclass(frozen=True)
class Listing:
    """The image files of a split, sorted by class and name, and their labels (N,) int64."""

    paths: tuple[Path, ...]
    labels: Indices
    classes: tuple[str, ...]

    @classmethod
    def from_folder(cls, folder: Path, classes: tuple[str, ...]) -> "Listing":
        """List the images of the class folders in `folder`.

        Raises:
            DataError: a folder is empty, or its name is not that of a class.
        """
        names = _subfolders(folder)
        if unknown := sorted(set(names) - set(classes)):
            raise DataError(f"{folder / unknown[0]} is a class that the train folder does not have")
        images = {name: image_paths(folder / name) for name in names}
        labels = [classes.index(name) for name in names for _ in images[name]]
        paths = tuple(path for name in names for path in images[name])
        return cls(paths, np.array(labels, dtype=np.int64), classes)

    def hold_out(self, fraction: float) -> tuple["Listing", "Listing"]:
        """Divide the files into (remaining, held out), stratified and the same for every seed.

        Raises:
            DataError: every class has only one image.
        """
        count = max(1, round(len(self.paths) * fraction))
        remaining, held_out = hold_out(self.labels, count, FIXED_SEED)
        if not len(held_out):
            raise DataError(
                "no image can be held out for testing: every class has only one image; "
                "type data.test_fraction=0"
            )
        return self._subset(remaining), self._subset(held_out)

    def shuffled(self) -> "Listing":
        """Return the files in a random order that is always the same."""
        return self._subset(permutation(len(self.paths), FIXED_SEED))

    def _subset(self, indices: Indices) -> "Listing":
        return Listing(tuple(self.paths[i] for i in indices), self.labels[indices], self.classes)


def _labels(listing: Listing) -> tuple[Indices, tuple[str, ...]]:
    return listing.labels, listing.classes


def _classes(folder: Path) -> tuple[str, ...]:
    names = _subfolders(folder)
    if len(names) < 2:
        # An archive often unpacks into one folder more.
        inner = [folder / name for name in names if len(_subfolders(folder / name)) > 1]
        raise DataError(
            f"{folder} has {len(names)} class folder{'' if names else 's'}: expected at least 2, "
            f"one a class; type data.root={inner[0] if inner else 'FOLDER'}"
        )
    return names


def _subfolders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in `folder`, sorted, without hidden ones.

    Raises:
        DataError: the folder cannot be read, or a link leads nowhere, so that a class or a split
            would be left out unnoticed. A name with the suffix of a type of file is that of a file,
            such as a list of labels.
    """
    try:
        paths = [path for path in folder.iterdir() if path.name[0] != "."]
        names = tuple(sorted(path.name for path in paths if path.is_dir()))
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read: {reason_of(error)}") from error
    for path in paths:
        if path.is_symlink() and not path.exists() and guess_type(path.name) == (None, None):
            raise DataError(f"{path} is a link that leads nowhere; mend it, or remove it")
    return names
