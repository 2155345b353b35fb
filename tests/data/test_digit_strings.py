"""Strings of digits: their images, labels, positions and fingerprints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_files import write_mnist
from sweeper.data.digit_strings import DigitStrings, StringLayout, make_strings
from sweeper.data.digits import Digits
from sweeper.data.source import Decoded
from sweeper.errors import ConfigError, DataError

ARGUMENTS: dict[str, Any] = {
    "source": "digits",
    "root": "data",
    "download": False,
    "n_train": 200,
    "n_val": 40,
    "n_test": 50,
    "min_length": 3,
    "max_length": 6,
    "overlap": 1,
}


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Write the files of MNIST with a few random images, and return their root."""
    write_mnist(tmp_path)
    return tmp_path


def source(**changed: Any) -> DigitStrings:
    return DigitStrings(**(ARGUMENTS | changed))


def loaded(**changed: Any) -> dict[str, Decoded]:
    return {name: split.load() for name, split in source(**changed).splits(None).items()}


def tiles(split: Decoded) -> dict[bytes, int]:
    """Return the classes of the digits by their pixels, for full strings without overlap."""
    columns = split.images[:].reshape(-1, 8, 6, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    return {tile.tobytes(): label for tile, label in zip(columns, split.labels.flat, strict=True)}


def test_no_digit_is_used_in_two_splits() -> None:
    full = {"min_length": 6, "max_length": 6, "overlap": 0}
    splits = loaded(**full, n_train=2000, n_val=500, n_test=500)
    train, val, test = (tiles(splits[name]) for name in ("train", "val", "test"))
    assert not train.keys() & val.keys()
    assert not train.keys() & test.keys()
    assert not val.keys() & test.keys()
    digits = {name: split.load() for name, split in Digits().splits(None).items()}
    known = {
        name: {image.tobytes(): label for image, label in zip(d.images[:], d.labels, strict=True)}
        for name, d in digits.items()
    }
    assert (train | val).items() <= known["train"].items()
    assert test.items() <= known["test"].items()


def test_a_string_is_its_digits_from_left_to_right_without_gaps() -> None:
    images = np.arange(1, 11, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 3), np.uint8)
    pixels, labels = make_strings(images, np.arange(10), 300, StringLayout(1, 4, 0), 7)
    assert pixels.shape == (300, 1, 2, 12)
    assert labels.shape == (300, 4)
    for picture, label in zip(pixels[:, 0, 0], labels, strict=True):
        written = np.repeat(label[label >= 0] + 1, 3)
        assert picture[picture > 0].tolist() == written.tolist()
        assert np.ptp(picture.nonzero()[0]) == len(written) - 1  # without a gap
    lengths = (labels >= 0).sum(axis=1)
    assert [(lengths == n).sum() // 50 for n in range(5)] == [0, 1, 1, 1, 1]
    left_edges = (pixels[lengths == 1, 0, 0] > 0).argmax(axis=1)
    assert set(left_edges) == set(range(10))  # every possible position


def test_the_overlap_is_limited_and_the_brighter_pixel_wins() -> None:
    images = np.array([1, 2], dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 1, 4), np.uint8)
    pixels, labels = make_strings(images, np.arange(2), 200, StringLayout(2, 2, 2), 7)
    widths = (pixels[:, 0, 0] > 0).sum(axis=1)
    assert set(widths) == {6, 7, 8}
    apart = labels[:, 0] != labels[:, 1]
    assert ((pixels[apart, 0, 0] == 2).sum(axis=1) == 4).all()


def test_empty_strings_are_empty_images() -> None:
    train = loaded(min_length=0)["train"]
    lengths = (train.labels >= 0).sum(axis=1)
    assert set(lengths) == {0, 1, 2, 3, 4, 5, 6}
    assert not train.images[np.flatnonzero(lengths == 0)].any()


# These labels are fixed: with other random numbers, the same config would mean other data.
STRINGS = [
    [0, 6, 7, 8, 2, -1],
    [8, 9, 2, 6, 8, -1],
    [0, 5, 8, 4, 7, 8],
    [8, 7, 4, -1, -1, -1],
    [8, 1, 1, 4, -1, -1],
]


def test_strings_are_the_same_on_every_platform_and_for_every_count() -> None:
    few, many = loaded(n_train=5)["train"], loaded(n_train=9)["train"]
    assert few.labels.tolist() == STRINGS
    assert np.array_equal(many.images[np.arange(5)], few.images[np.arange(5)])


def test_strings_do_not_depend_on_the_seed_of_a_run(prepared: Any) -> None:
    first, second = (prepared(source(), seed=seed) for seed in (1, 2))
    assert first.sizes == second.sizes == {"train": 200, "val": 40, "test": 50}
    assert first.digest == second.digest
    assert [y.tolist() for _, y in first.val()] == [y.tolist() for _, y in second.val()]
    assert first.profile.input_shape == (1, 8, 48)
    assert first.profile.label_shape == (6,)


def test_every_argument_changes_the_fingerprints() -> None:
    changes = [{}, {"min_length": 2}, {"max_length": 7}, {"overlap": 2}]
    prints = [split.fingerprint for c in changes for split in source(**c).splits(None).values()]
    assert len(set(prints)) == 3 * len(changes)
    for size, name in (("n_train", "train"), ("n_val", "val"), ("n_test", "test")):
        before, after = source().splits(None), source(**{size: 7}).splits(None)
        assert {n for n in before if before[n].fingerprint != after[n].fingerprint} == {name}


def test_the_classes_of_mnist_are_one_character_each(mnist: Path) -> None:
    splits = loaded(source="mnist", root=str(mnist))
    assert splits["test"].classes == tuple("0123456789")
    assert splits["test"].images.shape == (50, 1, 28, 168)


def test_a_changed_file_of_the_source_changes_the_fingerprint(mnist: Path) -> None:
    before = source(source="mnist", root=str(mnist)).splits(None)
    with (mnist / "MNIST/raw/t10k-images-idx3-ubyte").open("ab") as file:
        file.write(b"more")
    after = source(source="mnist", root=str(mnist)).splits(None)
    changed = {n for n in before if before[n].fingerprint != after[n].fingerprint}
    assert changed == {"test"}


def test_min_length_above_max_length_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^data\.min_length=7 is more than data\.max_length=6"):
        source(min_length=7)


def test_digits_may_overlap_by_at_most_half() -> None:
    assert loaded(overlap=4)["val"].images.shape == (40, 1, 8, 48)
    with pytest.raises(ConfigError, match=r"^data\.overlap=5: .* type data\.overlap=4 or less"):
        loaded(overlap=5)


def test_missing_files_of_the_source_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"type data\.download=true, or data\.root=FOLDER"):
        source(source="mnist", root=str(tmp_path)).splits(None)
