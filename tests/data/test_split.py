import numpy as np
import pytest

from sweeper.data.split import hold_out, permutation, subset_indices
from sweeper.errors import DataError


@pytest.mark.parametrize(
    ("counts", "total", "held"),
    [
        ((50, 30, 20), 10, (5, 3, 2)),
        ((10, 10, 10), 4, (2, 1, 1)),
        ((1, 9), 2, (0, 2)),  # a class of one image stays whole
        ((2, 2), 4, (1, 1)),  # no class is ever emptied
        ((1, 1), 1, (0, 0)),
        ((0, 5), 1, (0, 1)),
    ],
)
def test_each_class_gives_its_share(
    counts: tuple[int, ...], total: int, held: tuple[int, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    kept, taken = hold_out(labels, total, 3)
    assert tuple(np.bincount(labels[taken], minlength=len(counts))) == held
    assert sorted([*kept, *taken]) == list(range(len(labels)))


def test_a_permutation_is_the_same_on_every_platform() -> None:
    assert permutation(8, 7, 2).tolist() == [6, 4, 0, 5, 7, 1, 3, 2]


def test_the_seed_moves_validation_but_neither_overlaps_training() -> None:
    labels = {"train": np.arange(40) % 4, "test": np.arange(8) % 4}
    first, _ = subset_indices(labels, 0.25, 1, None, None)
    second, _ = subset_indices(labels, 0.25, 2, None, None)
    assert first["val"].tolist() != second["val"].tolist()
    assert not set(first["val"]) & set(first["train"])
    assert first["test"].tolist() == second["test"].tolist()


def test_what_is_evaluated_comes_in_a_mixed_order() -> None:
    labels = {"train": np.repeat([0, 1], 50), "test": np.repeat([0, 1], 50)}
    chosen, _ = subset_indices(labels, 0.5, 1, None, None)
    for name in ("val", "test"):
        found = labels["train" if name == "val" else name][chosen[name]]
        assert sorted(set(chosen[name])) == sorted(chosen[name])
        assert 5 < found[: len(found) // 2].sum() < len(found) // 2 - 5  # both classes in each half


def test_limits_keep_that_many_and_leave_the_statistics_alone() -> None:
    labels = {"train": np.arange(40) % 4}
    whole, _ = subset_indices(labels, 0.25, 1, None, None)
    limited, fit = subset_indices(labels, 0.25, 1, 7, 100)
    assert (len(limited["train"]), len(limited["val"])) == (7, 10)
    assert set(limited["train"]) < set(whole["train"])
    assert fit.tolist() == whole["train"].tolist()


def test_a_split_of_its_own_is_the_whole_validation() -> None:
    labels = {"train": np.arange(10) % 2, "val": np.arange(4) % 2}
    chosen, _ = subset_indices(labels, 0.5, 1, None, None)
    assert (len(chosen["train"]), len(chosen["val"])) == (10, 4)


def test_single_images_cannot_be_validated_on() -> None:
    with pytest.raises(DataError, match="every class has a single one"):
        subset_indices({"train": np.arange(5)}, 0.2, 1, None, None)
