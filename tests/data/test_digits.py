from typing import Any

import numpy as np

from sweeper.data.digits import Digits


def test_a_fifth_of_the_images_is_the_test_split(prepared: Any) -> None:
    data = prepared(Digits(), val_fraction=0.1)
    assert data.sizes == {"train": 1294, "val": 144, "test": 359}
    assert data.profile.input_shape == (1, 8, 8)
    assert data.profile.classes == tuple("0123456789")


def test_every_digit_is_in_exactly_one_split() -> None:
    from sklearn.datasets import load_digits

    loaded = [split.load() for split in Digits().splits(None).values()]
    images = np.concatenate([part.images[np.arange(len(part.labels))] for part in loaded])
    ours = images.reshape(len(images), -1) / 255 * 16
    theirs = load_digits().data
    assert np.abs(np.sort(ours.sum(axis=1)) - np.sort(theirs.sum(axis=1))).max() < 1
    assert (images.min(), images.max()) == (0, 255)


def test_the_test_split_does_not_depend_on_the_seed(prepared: Any) -> None:
    first, second = (prepared(Digits(), seed=seed) for seed in (1, 2))
    assert [y.tolist() for _, y in first.test()] == [y.tolist() for _, y in second.test()]
    assert first.profile.mean != second.profile.mean
