"""Data sets that torchvision can download and read."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sweeper.data.describe import Description
from sweeper.data.source import Decoded, Split, fingerprint
from sweeper.errors import DataError
from sweeper.files import scratch_folder
from sweeper.text import in_one_line

Name = Literal["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"]


@dataclass(frozen=True)
class SetLayout:
    """The torchvision class of a set, its description, and its files below the root by split."""

    loader: str
    description: Description
    files: Mapping[str, tuple[str, ...]]


def _mnist_layout(loader: str) -> SetLayout:
    """Return the layout of a set of the MNIST family."""
    suffixes = "images-idx3-ubyte", "labels-idx1-ubyte"
    prefixes = {"train": "train", "test": "t10k"}
    return SetLayout(
        loader,
        Description((1, 28, 28), 10),
        {
            split: tuple(f"{loader}/raw/{prefix}-{suffix}" for suffix in suffixes)
            for split, prefix in prefixes.items()
        },
    )


def _cifar_layout(
    loader: str, n_classes: int, folder: str, meta: str, train: tuple[str, ...], test: str
) -> SetLayout:
    """Return the layout of CIFAR-10 or CIFAR-100, whose `meta` file names the classes."""
    files = {"train": (*train, meta), "test": (test, meta)}
    return SetLayout(
        loader,
        Description((3, 32, 32), n_classes),
        {split: tuple(f"{folder}/{file}" for file in names) for split, names in files.items()},
    )


LAYOUTS: dict[str, SetLayout] = {
    "mnist": _mnist_layout("MNIST"),
    "fashion_mnist": _mnist_layout("FashionMNIST"),
    "kmnist": _mnist_layout("KMNIST"),
    "cifar10": _cifar_layout(
        "CIFAR10",
        10,
        "cifar-10-batches-py",
        "batches.meta",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
    ),
    "cifar100": _cifar_layout("CIFAR100", 100, "cifar-100-python", "meta", ("train",), "test"),
    "svhn": SetLayout(
        "SVHN",
        Description((3, 32, 32), 10),
        {split: (f"{split}_32x32.mat",) for split in ("train", "test")},
    ),
}


class TorchvisionSet:
    """One of torchvision's sets with its official `train` and `test` splits.

    torchvision is only imported to download and to decode. For a cached set, only the sizes and
    times of the files are read.
    """

    def __init__(self, name: Name, root: str, download: bool) -> None:
        self.name: str = name
        self._layout = LAYOUTS[name]
        self._root = Path(root).expanduser().absolute()
        self._download = download

    def describe(self, image_size: int | None) -> Description:
        """Describe the images at their own size, without reading a file."""
        return self._layout.description

    def splits(self, image_size: int | None) -> dict[str, Split]:
        """Return `train` and `test` at their own size; download them first if necessary.

        Raises:
            DataError: files are missing and `download` is false, or the download fails.
        """
        self._fetch_missing()
        return {split: self._split(split) for split in self._layout.files}

    def _split(self, split: str) -> Split:
        files = [self._root / file for file in self._layout.files[split]]
        key = fingerprint({"source": self.name, "split": split}, files)
        return Split(key, lambda: _decoded(self._open(self._root, split)))

    def _open(self, root: Path, split: str, download: bool = False) -> Any:
        import torchvision.datasets  # takes 5 seconds, not needed for a cached set

        loader = getattr(torchvision.datasets, self._layout.loader)
        arguments = {"split": split} if self.name == "svhn" else {"train": split == "train"}
        try:
            return loader(root, download=download, **arguments)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            verb = "downloaded" if download else "read"
            raise DataError(
                f"data={self.name} could not be {verb} in {self._root}: {in_one_line(error)}; "
                f"type data.root=FOLDER for a folder that contains {self._layout.files['train'][0]}"
            ) from error

    def _fetch_missing(self) -> None:
        """Download into a temporary folder and move each file, so that no file is incomplete."""
        files = [file for names in self._layout.files.values() for file in names]
        missing = [file for file in files if not (self._root / file).is_file()]
        if not missing:
            return
        if not self._download:
            raise DataError(
                f"data={self.name} is not in {self._root}: expected a file {missing[0]} there; "
                f"type data.download=true, or data.root=FOLDER for a folder that contains it"
            )
        path = (self._root, *self._root.parents)
        created = [folder for folder in path if not folder.exists()]
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with scratch_folder(self._root) as partial:
                for split in self._layout.files:
                    self._open(partial, split, download=True)
                self._move(partial, missing)
        except OSError as error:
            raise DataError(
                f"data.root={self._root} cannot be written: {in_one_line(error)}; "
                "type data.root=FOLDER"
            ) from error
        finally:
            with contextlib.suppress(OSError):  # it holds the files of a download that succeeded
                for folder in created:
                    folder.rmdir()

    def _move(self, partial: Path, files: list[str]) -> None:
        for file in files:
            (self._root / file).parent.mkdir(parents=True, exist_ok=True)
            (partial / file).replace(self._root / file)


def _decoded(dataset: Any) -> Decoded:
    """Return the images of a torchvision set as (N, C, H, W) uint8, and its labels (N,) int64.

    torchvision stores images as (N, H, W) tensors, or (N, H, W, 3) or (N, 3, H, W) arrays.
    """
    images = np.asarray(dataset.data)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    labels = np.asarray(getattr(dataset, "targets", getattr(dataset, "labels", None)))
    classes = getattr(dataset, "classes", None) or [str(label) for label in range(10)]  # SVHN
    return Decoded(np.ascontiguousarray(images), labels.astype(np.int64), tuple(classes))
