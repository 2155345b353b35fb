"""The files of MNIST and of the sets in its format, with noise for images."""

import struct
from pathlib import Path

import numpy as np


def write_mnist(root: Path, loader: str = "MNIST", n_train: int = 40, n_test: int = 10) -> None:
    """Write the files of the set that a loader of torchvision reads; digit i % 10 is image i."""
    rng, raw = np.random.default_rng(0), root / loader / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", n_train), ("t10k", n_test)):
        _write_idx(raw / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)))
        _write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(n) % 10)


def _write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())
