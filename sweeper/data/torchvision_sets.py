"""Data sets that torchvision can download and read."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.errors import DataError
from sweeper.text import in_one_line

Name = Literal["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"]


@dataclass(frozen=True)
class SetLayout:
    """torchvision's class for a set, what is in it, and the files below the root, by split."""

    loader: str
    content: Description
    files: Mapping[str, tuple[str, ...]]


def _idx(loader: str) -> SetLayout:
    """The files of the MNIST family."""
    kinds = "images-idx3-ubyte", "labels-idx1-ubyte"
    parts = {"train": "train", "test": "t10k"}
    return SetLayout(
        loader,
        Description((1, 28, 28), 10),
        {s: tuple(f"{loader}/raw/{part}-{kind}" for kind in kinds) for s, part in parts.items()},
    )


def _cifar(
    loader: str, n_classes: int, folder: str, meta: str, train: tuple[str, ...], test: str
) -> SetLayout:
    files = {"train": (*train, meta), "test": (test, meta)}
    return SetLayout(
        loader,
        Description((3, 32, 32), n_classes),
        {s: tuple(f"{folder}/{f}" for f in names) for s, names in files.items()},
    )


LAYOUTS: dict[str, SetLayout] = {
    "mnist": _idx("MNIST"),
    "fashion_mnist": _idx("FashionMNIST"),
    "kmnist": _idx("KMNIST"),
    "cifar10": _cifar(
        "CIFAR10",
        10,
        "cifar-10-batches-py",
        "batches.meta",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
    ),
    "cifar100": _cifar("CIFAR100", 100, "cifar-100-python", "meta", ("train",), "test"),
    "svhn": SetLayout(
        "SVHN",
        Description((3, 32, 32), 10),
        {s: (f"{s}_32x32.mat",) for s in ("train", "test")},
    ),
}


class TorchvisionSet:
    """One of torchvision's sets with its official `train` and `test` splits.

    torchvision itself is imported only to download and decode: once cached, only the files' sizes
    and times are looked at.
    """

    def __init__(self, name: Name, root: str, download: bool) -> None:
        self.name: str = name
        self._layout = LAYOUTS[name]
        self._root = Path(root).expanduser().absolute()
        self._download = download

    def describe(self, image_size: int | None) -> Description:
        """Of images at their own size; nothing needs to be there."""
        return self._layout.content

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """`train` and `test`, at their own size; DataError when the files cannot be had."""
        self._fetch_missing()
        return {split: self._split(split) for split in self._layout.files}

    def _split(self, split: str) -> Split:
        files = [self._root / file for file in self._layout.files[split]]
        key = fingerprint({"source": self.name, "split": split}, files)
        return Split(key, lambda: _decoded(self._open(self._root, split)))

    def _open(self, root: Path, split: str, download: bool = False) -> Any:
        import torchvision.datasets  # five seconds, and not needed once cached

        loader = getattr(torchvision.datasets, self._layout.loader)
        which = {"split": split} if self.name == "svhn" else {"train": split == "train"}
        try:
            return loader(root, download=download, **which)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            verb = "downloaded" if download else "read"
            raise DataError(
                f"data={self.name} could not be {verb} in {self._root}: {in_one_line(error)}; "
                f"type data.root=FOLDER for a folder that holds {self._expected()}"
            ) from error

    def _fetch_missing(self) -> None:
        """Download beside the final place and move file by file, so none is ever half there."""
        missing = [f for fs in self._layout.files.values() for f in fs if not self._has(f)]
        if not missing:
            return
        if not self._download:
            raise DataError(
                f"data={self.name} is not in {self._root}: expected {missing[0]} there, type "
                f"data.download=true, or data.root=FOLDER for a folder that holds it"
            )
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._root, prefix=".partial-") as partial:
                for split in self._layout.files:
                    self._open(Path(partial), split, download=True)
                self._move(Path(partial), missing)
        except OSError as error:
            raise DataError(
                f"data.root={self._root} cannot be written: {in_one_line(error)}; "
                "type data.root=FOLDER"
            ) from error

    def _has(self, file: str) -> bool:
        return (self._root / file).is_file()

    def _move(self, partial: Path, files: list[str]) -> None:
        for file in files:
            (self._root / file).parent.mkdir(parents=True, exist_ok=True)
            (partial / file).replace(self._root / file)

    def _expected(self) -> str:
        return self._layout.files["train"][0]


def _decoded(dataset: Any) -> Decoded:
    """torchvision's (N, H, W) tensors, (N, H, W, 3) or (N, 3, H, W) arrays as (N, C, H, W)."""
    images = np.asarray(dataset.data)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    labels = np.asarray(getattr(dataset, "targets", getattr(dataset, "labels", None)))
    classes = getattr(dataset, "classes", None) or [str(label) for label in range(10)]  # SVHN
    return Decoded(np.ascontiguousarray(images), labels.astype(np.int64), tuple(classes))
