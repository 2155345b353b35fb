import numpy as np
import pytest

from sweeper.data.split import hold_out, permutation, subset_indices
from sweeper.errors import DataError


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ((50, 30, 20), 10, (5, 3, 2)),
        ((10, 10, 10), 4, (2, 1, 1)),
        ((1, 9), 2, (0, 2)),  # a class of one image gives none
        ((2, 2), 4, (1, 1)),  # every class keeps an image
        ((1, 1), 1, (0, 0)),
        ((0, 5), 1, (0, 1)),
    ],
)
def test_each_class_gives_its_share(
    counts: tuple[int, ...], total: int, expected: tuple[int, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    remaining, held_out = hold_out(labels, total, 3)
    assert tuple(np.bincount(labels[held_out], minlength=len(counts))) == expected
    assert sorted([*remaining, *held_out]) == list(range(len(labels)))


def test_a_permutation_is_the_same_on_every_platform() -> None:
    assert permutation(8, 7, 2).tolist() == [6, 4, 0, 5, 7, 1, 3, 2]


def test_the_seed_changes_the_validation_split_but_not_the_test_split() -> None:
    labels = {"train": np.arange(40) % 4, "test": np.arange(8) % 4}
    first, _ = subset_indices(labels, 0.25, 1, None, None)
    second, _ = subset_indices(labels, 0.25, 2, None, None)
    assert first["val"].tolist() != second["val"].tolist()
    assert not set(first["val"]) & set(first["train"])
    assert first["test"].tolist() == second["test"].tolist()


def test_evaluation_splits_are_shuffled() -> None:
    labels = {"train": np.repeat([0, 1], 50), "test": np.repeat([0, 1], 50)}
    indices, _ = subset_indices(labels, 0.5, 1, None, None)
    for name in ("val", "test"):
        shuffled = labels["train" if name == "val" else name][indices[name]]
        assert sorted(set(indices[name])) == sorted(indices[name])
        half = len(shuffled) // 2
        assert 5 < shuffled[:half].sum() < half - 5  # both classes are in each half


def test_limits_reduce_the_splits_but_not_the_images_of_the_statistics() -> None:
    labels = {"train": np.arange(40) % 4}
    unlimited, _ = subset_indices(labels, 0.25, 1, None, None)
    limited, statistics_indices = subset_indices(labels, 0.25, 1, 7, 100)
    assert (len(limited["train"]), len(limited["val"])) == (7, 10)
    assert set(limited["train"]) < set(unlimited["train"])
    assert statistics_indices.tolist() == unlimited["train"].tolist()


def test_a_limit_of_the_test_images_takes_the_same_ones_with_every_seed() -> None:
    labels = {"train": np.arange(40) % 4, "test": np.arange(20) % 4}
    whole, _ = subset_indices(labels, 0.25, 1, None, None)
    few = [subset_indices(labels, 0.25, seed, None, None, 5)[0]["test"] for seed in (1, 2)]
    assert few[0].tolist() == few[1].tolist() == whole["test"][:5].tolist()


def test_a_val_split_of_the_source_is_used_completely() -> None:
    labels = {"train": np.arange(10) % 2, "val": np.arange(4) % 2}
    indices, _ = subset_indices(labels, 0.5, 1, None, None)
    assert (len(indices["train"]), len(indices["val"])) == (10, 4)


def test_classes_of_one_image_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="every class has only one image"):
        subset_indices({"train": np.arange(5)}, 0.2, 1, None, None)
