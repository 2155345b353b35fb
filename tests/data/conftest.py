"""A small data set in memory, `prepare` with default arguments, and folders of images."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.data.image_data import ImageData
from sweeper.data.prepare import PipelineKeys, RunNeeds, prepare
from sweeper.data.source import Decoded, Split, fingerprint


class ArraySource:
    """Random images of three classes; `decoded` counts the calls of `load`."""

    name = "arrays"

    def __init__(self, shape: tuple[int, ...] = (3, 8, 8), n: int = 90, n_test: int = 30) -> None:
        self.shape, self.sizes, self.decoded = shape, {"train": n, "test": n_test}, 0

    def splits(self, image_size: int | None) -> dict[str, Split]:
        return {
            name: Split(fingerprint({"name": name, "n": n, "shape": self.shape}), self._loader(n))
            for name, n in self.sizes.items()
            if n
        }

    def _loader(self, n: int) -> Callable[[], Decoded]:
        def load() -> Decoded:
            self.decoded += 1
            images = np.random.default_rng(n).integers(0, 256, (n, *self.shape), dtype=np.uint8)
            return Decoded(images, np.arange(n, dtype=np.int64) % 3, ("a", "b", "c"))

        return load


@pytest.fixture
def source() -> ArraySource:
    return ArraySource()


@pytest.fixture
def array_source() -> type[ArraySource]:
    return ArraySource


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., ImageData]:
    """Return `prepare` with default arguments and a cache in the temporary folder."""

    def prepare_with(source: Any, **settings: Any) -> ImageData:
        defaults: dict[str, Any] = {
            "batch_size": 16,
            "val_fraction": 0.2,
            "image_size": None,
            "resize": "crop",
            "background": "white",
            "mean": None,
            "std": None,
            "resident": "auto",
            "resident_limit_gib": 1.0,
            "num_workers": 0,
            "cache_dir": tmp_path / "cache",
            "train_transform": [],
            "eval_transform": [],
            "seed": 1,
            "min_image_size": 1,
            "device": torch.device("cpu"),
            "channels_last": False,
            "train_limit": None,
            "val_limit": None,
            "test_limit": None,
        }
        values = defaults | settings
        keys = PipelineKeys(**{each.name: values.pop(each.name) for each in fields(PipelineKeys)})
        return prepare(source, keys, RunNeeds(**values))

    return prepare_with


@pytest.fixture
def image_tree(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes `counts` images a class, of different sizes."""

    def write(counts: dict[str, int], folder: str = "pictures") -> Path:
        root = tmp_path / folder
        rng = np.random.default_rng(0)
        for label, count in counts.items():
            (root / label).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (10 + i, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / label / f"{i:03}.png")
        return root

    return write
