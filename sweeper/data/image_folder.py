"""Images in folders: a folder a class, in the root itself or below train, val and test."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.image_files import FileImages, image_paths, mode_of
from sweeper.data.source import Decoded, Indices, Split, fingerprint
from sweeper.data.split import FIXED, hold_out, permutation
from sweeper.errors import ConfigError, DataError
from sweeper.schema import Probability

CHANNELS = {"rgb": 3, "gray": 1}


class ImageFolder:
    """Images of any size, scaled to a square; without a `test` folder, a part of `train` is it."""

    name = "image_folder"

    def __init__(
        self, root: str, channels: Literal["rgb", "gray"], test_fraction: Probability
    ) -> None:
        self._root = Path(root).expanduser().absolute()
        self._mode = mode_of(CHANNELS[channels])
        self._test_fraction = test_fraction

    def describe(self, image_size: int | None) -> Description:
        """A class a folder, its images not looked at; DataError for folders that lack."""
        size = _required(image_size)
        return Description((len(self._mode), size, size), len(_classes(self._train_folder())))

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """`train`, and `val` and `test` where there are any; DataError for folders that lack."""
        size = _required(image_size)
        return {name: self._split(listing, size) for name, listing in self._listings().items()}

    def _train_folder(self) -> Path:
        if not self._root.is_dir():
            raise DataError(f"data.root={self._root} is not a folder; type data.root=FOLDER")
        train = self._root / "train"
        self._check_names(train)
        return train if train.is_dir() else self._root

    def _listings(self) -> dict[str, "Listing"]:
        train = self._train_folder()
        listings = {"train": Listing.of(train, _classes(train))}
        if train != self._root:
            for name in ("val", "test"):
                if (self._root / name).is_dir():
                    listings[name] = Listing.of(self._root / name, listings["train"].classes)
        if "test" not in listings and self._test_fraction > 0:
            listings["train"], listings["test"] = listings["train"].divided(self._test_fraction)
        return listings

    def _check_names(self, train: Path) -> None:
        """Refuse a split by a name that would leave it out, or make a class of it."""
        found = {path.name for path in self._root.iterdir() if path.is_dir()}
        if not train.is_dir() and (splits := sorted(found & {"val", "test"})):
            raise DataError(f"{self._root} has a folder {splits[0]}, but none called train")
        strange = sorted(name for name in found - {"train", "val", "test"} if name[0] != ".")
        if train.is_dir() and strange:
            raise DataError(
                f"{self._root / strange[0]} is no split: beside train there may be val and test"
            )

    def _split(self, listing: "Listing", size: int) -> Split:
        files = FileImages(listing.paths, (size, size), self._mode)

        def load() -> Decoded:
            return Decoded(files, listing.labels, listing.classes)

        def stream() -> Decoded:
            files.check_headers()
            return load()

        key = {"source": self.name, "mode": self._mode, "size": size, "classes": listing.classes}
        return Split(fingerprint(key, listing.paths), load, stream, prod(files.shape))


@dataclass(frozen=True)
class Listing:
    """The image files of a split, in order of their names, and their labels."""

    paths: tuple[Path, ...]
    labels: Indices
    classes: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, classes: tuple[str, ...]) -> "Listing":
        """The images below `folder`, where no folder may be named otherwise than a class."""
        found = _subfolders(folder)
        if unknown := sorted(set(found) - set(classes)):
            raise DataError(f"{folder / unknown[0]} is a class that the train folder does not have")
        images = {name: image_paths(folder / name) for name in found}
        labels = [classes.index(name) for name in found for _ in images[name]]
        paths = tuple(path for name in found for path in images[name])
        return cls(paths, np.array(labels, dtype=np.int64), classes)

    def divided(self, fraction: float) -> tuple["Listing", "Listing"]:
        """This listing without a stratified part, and that part; the same for every seed."""
        count = max(1, round(len(self.paths) * fraction))
        kept, held = hold_out(self.labels, count, FIXED)
        if not len(held):
            raise DataError(
                "no image can be held out for testing: every class has a single one; "
                "type data.test_fraction=0"
            )
        return self._taking(kept), self._taking(held)

    def mixed(self) -> "Listing":
        """This listing in an order that is mixed, and always the same."""
        return self._taking(permutation(len(self.paths), FIXED))

    def _taking(self, indices: Indices) -> "Listing":
        return Listing(tuple(self.paths[i] for i in indices), self.labels[indices], self.classes)


def _required(image_size: int | None) -> int:
    if image_size is None:
        raise ConfigError("data.image_size=null: image_folder needs a size, such as 64")
    return image_size


def _classes(folder: Path) -> tuple[str, ...]:
    found = _subfolders(folder)
    if len(found) < 2:
        raise DataError(
            f"{folder} has {len(found)} class folders: expected at least 2, one a class; "
            f"type data.root=FOLDER"
        )
    return found


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != "."))
