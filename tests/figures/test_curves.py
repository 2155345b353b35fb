import numpy as np
import pytest

from sweeper.figures.curves import learning_curves

HISTORY = [
    {"train/loss": 2.0, "val/loss": 2.1, "train/accuracy": 0.2, "val/accuracy": 0.1},
    {"train/loss": 1.0, "val/loss": 1.2, "train/accuracy": 0.7, "val/accuracy": 0.6},
]


def test_learning_curves_draw_each_split_over_epochs_from_one() -> None:
    loss, accuracy = learning_curves(HISTORY, best_epoch=2).axes
    assert np.array_equal(loss.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    assert np.array_equal(accuracy.lines[1].get_xydata(), [[1, 0.1], [2, 0.6]])
    assert list(loss.lines[2].get_xdata()) == [2, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_learning_curves_of_a_diverged_run_can_be_drawn(value: float | None, check_legible) -> None:
    row = {} if value is None else {"train/loss": value, "val/loss": value}
    check_legible(learning_curves([HISTORY[0], row], best_epoch=1, about="cnn on x"))
