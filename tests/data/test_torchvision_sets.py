import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from scipy.io import savemat

from mnist_files import write_mnist
from sweeper.data.torchvision_sets import LAYOUTS, TorchvisionSet
from sweeper.errors import DataError

N = {"train": 40, "test": 10}
RNG = np.random.default_rng(0)


def write_cifar(root: Path, name: str) -> None:
    label, meta = (
        ("labels", "label_names") if name == "cifar10" else ("fine_labels", "fine_label_names")
    )
    for split, files in LAYOUTS[name].files.items():
        for file in files[:-1]:
            n = N[split] // (len(files) - 1)
            data = {"data": RNG.integers(0, 256, (n, 3072), dtype=np.uint8)}
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(pickle.dumps(data | {label: [i % 10 for i in range(n)]}))
        names = [str(i) for i in range(10 if name == "cifar10" else 100)]
        (root / files[-1]).write_bytes(pickle.dumps({meta: names}))


def write_svhn(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for split, n in N.items():
        images = RNG.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        savemat(root / f"{split}_32x32.mat", {"X": images, "y": 1 + np.arange(n)[:, None] % 10})


def write(root: Path, name: str) -> None:
    if name == "svhn":
        write_svhn(root)
    elif name.startswith("cifar"):
        write_cifar(root, name)
    else:
        write_mnist(root, LAYOUTS[name].loader, N["train"], N["test"])


@pytest.fixture(autouse=True)
def _no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip torchvision's checksums, because the files of these tests are not the official ones."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda *_: True, raising=False)
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda *_: True)


SHAPES = {
    "mnist": (1, 28, 28),
    "fashion_mnist": (1, 28, 28),
    "kmnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "svhn": (3, 32, 32),
}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_every_set_is_read_from_its_root(
    name: Any, shape: tuple[int, int, int], prepared: Any, tmp_path: Path
) -> None:
    write(tmp_path / "root", name)
    data = prepared(TorchvisionSet(name, str(tmp_path / "root"), download=False))
    assert data.sizes == {"train": 32, "val": 8, "test": 10}
    assert data.profile.input_shape == shape
    assert len(data.profile.classes) == (100 if name == "cifar100" else 10)
    assert sum(data.profile.class_counts) == 32


def test_cifar_pixels_keep_their_positions(tmp_path: Path) -> None:
    write(tmp_path, "cifar10")
    decoded = TorchvisionSet("cifar10", str(tmp_path), False).splits(None)["test"].load()
    raw = pickle.loads((tmp_path / LAYOUTS["cifar10"].files["test"][0]).read_bytes())["data"]
    assert np.array_equal(decoded.images[np.arange(10)], raw.reshape(10, 3, 32, 32))


def test_a_missing_set_is_an_error_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data=mnist is not in .*data\.download=true"):
        TorchvisionSet("mnist", str(tmp_path), download=False).splits(None)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error downloading\ntrain-images")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fail)
    with refuses(DataError, "could not be downloaded .* train-images"):
        TorchvisionSet("mnist", str(tmp_path / "new" / "root"), download=True).splits(None)
    assert list(tmp_path.iterdir()) == []


def test_a_download_has_all_files_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(root: Path, **_: Any) -> None:
        write(root, "mnist")

    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    TorchvisionSet("mnist", str(tmp_path / "root"), download=True).splits(None)
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["MNIST"]
    assert len(list((tmp_path / "root" / "MNIST" / "raw").iterdir())) == 4


def test_a_damaged_file_is_one_line(tmp_path: Path, prepared: Any, refuses) -> None:
    write(tmp_path, "mnist")
    file = tmp_path / LAYOUTS["mnist"].files["train"][0]
    file.write_bytes(file.read_bytes()[:500])
    with refuses(DataError, "data=mnist could not be read"):
        prepared(TorchvisionSet("mnist", str(tmp_path), download=True))


def test_a_cached_set_is_prepared_without_torchvision(prepared: Any, tmp_path: Path) -> None:
    write(tmp_path, "mnist")
    source = TorchvisionSet("mnist", str(tmp_path), download=False)
    prepared(source)
    code = (
        "import sys; from pathlib import Path; from sweeper.data.cache import open_cached\n"
        "import sweeper.data.prepare; from sweeper.data.torchvision_sets import TorchvisionSet\n"
        f"split = TorchvisionSet('mnist', {str(tmp_path)!r}, False).splits(None)['train']\n"
        f"split = open_cached('mnist-train', split, Path({str(tmp_path / 'cache')!r}))\n"
        "assert type(split.images).__name__ == 'memmap'\n"
        "assert not [m for m in sys.modules if m.startswith('torchvision')], 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
