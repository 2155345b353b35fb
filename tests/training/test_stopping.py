"""Stopping criteria against tables computed by hand from Prechelt (1998), section 2."""

import pytest

from sweeper.training import stopping
from sweeper.training.state import RunState
from sweeper.training.stopping import Curves, StopEarly


def curves(val: list[float], train: list[float] | None = None) -> Curves:
    return Curves(train or val, val, val, "minimize")


@pytest.mark.parametrize(
    ("losses", "percent"),
    [
        ([1.0], 0.0),
        ([1.0, 0.8, 0.9], 12.5),  # 100 * (0.9 / 0.8 - 1)
        ([0.5, 0.4, 0.6], 50.0),
        ([0.5, 0.4, 0.3], 0.0),
        ([0.0, 0.1], float("inf")),
        ([0.0, 0.0], 0.0),
    ],
)
def test_generalisation_loss_is_relative_to_the_lowest(losses: list[float], percent: float) -> None:
    assert stopping.generalisation_loss(losses) == pytest.approx(percent)


@pytest.mark.parametrize(
    ("strip", "progress"),
    [
        ([4.0, 2.0], 500.0),  # 1000 * (6 / (2 * 2) - 1)
        ([1.0, 1.0, 1.0, 1.0, 1.0], 0.0),
        ([5.0, 4.0, 3.0, 2.0, 1.0], 2000.0),  # 1000 * (15 / (5 * 1) - 1)
        ([0.5, 1.0, 0.6], 400.0),  # 1000 * (2.1 / (3 * 0.5) - 1)
    ],
)
def test_training_progress_compares_mean_and_minimum(strip: list[float], progress: float) -> None:
    assert stopping.training_progress(strip) == pytest.approx(progress)


@pytest.mark.parametrize(
    ("losses", "alpha", "stops"),
    [
        ([1.0, 0.8, 0.9], 12.0, True),
        ([1.0, 0.8, 0.9], 13.0, False),
        ([1.0, 0.8, 0.9, 0.8], 5.0, False),
    ],
)
def test_gl_stops_above_alpha(losses: list[float], alpha: float, stops: bool) -> None:
    assert bool(stopping.gl(curves(losses), alpha)) is stops


@pytest.mark.parametrize(
    ("val", "train", "alpha", "stops"),
    [
        # GL = 100 * (0.9 / 0.8 - 1) = 12.5; P_2 = 1000 * (0.9 / (2 * 0.4) - 1) = 125; PQ = 0.1
        ([1.0, 0.8, 0.85, 0.9], [1.0, 0.7, 0.5, 0.4], 0.09, True),
        ([1.0, 0.8, 0.85, 0.9], [1.0, 0.7, 0.5, 0.4], 0.11, False),
        # the same quotient in the middle of a strip
        ([1.0, 0.8, 0.9], [1.0, 0.5, 0.4], 0.01, False),
        # training stands still, so any generalisation loss is too much
        ([1.0, 0.8, 0.8, 0.9], [1.0, 0.5, 0.5, 0.5], 3.0, True),
        # neither: nothing is lost by going on
        ([1.0, 0.9, 0.8, 0.7], [1.0, 0.5, 0.5, 0.5], 3.0, False),
    ],
)
def test_pq_stops_when_generalisation_loss_exceeds_progress(
    val: list[float], train: list[float], alpha: float, stops: bool
) -> None:
    assert bool(stopping.pq(curves(val, train), alpha, strip=2)) is stops


@pytest.mark.parametrize(
    ("losses", "successive", "stops"),
    [
        # ends of strips of two: epochs 2, 4, 6
        ([9, 1.0, 9, 1.1], 1, True),
        ([9, 1.0, 9, 1.0], 1, False),
        ([9, 1.0, 9, 1.1], 2, False),
        ([9, 1.0, 9, 1.1, 9, 1.2], 2, True),
        ([9, 1.2, 9, 1.1, 9, 1.2], 2, False),
        ([9, 1.0, 9, 1.1, 9], 1, False),  # not at the end of a strip
    ],
)
def test_up_counts_successive_rises_between_strip_ends(
    losses: list[float], successive: int, stops: bool
) -> None:
    assert bool(stopping.up(curves(losses), successive, strip=2)) is stops


@pytest.mark.parametrize(
    ("values", "direction", "min_delta", "stops"),
    [
        ([0.5, 0.6, 0.6, 0.6], "maximize", 0.0, True),
        ([0.5, 0.6, 0.6, 0.7], "maximize", 0.0, False),
        ([0.5, 0.6, 0.6, 0.61], "maximize", 0.05, True),
        ([0.5, 0.4, 0.5, 0.5], "minimize", 0.0, True),
        ([0.5, 0.4, 0.3, 0.2], "minimize", 0.0, False),
    ],
)
def test_patience_waits_for_an_improvement(
    values: list[float], direction: str, min_delta: float, stops: bool
) -> None:
    curves = Curves(values, values, values, direction)
    assert bool(stopping.patience(curves, patience=2, min_delta=min_delta)) is stops


def test_a_stopping_rule_ends_the_run_with_its_reason() -> None:
    state = RunState(epochs=9, steps_per_epoch=1, metric="val/loss", direction="minimize")
    state.record({"train/loss": 1.0, "val/loss": 1.0})
    callback = StopEarly(lambda curves: f"last is {curves.monitored[-1]}")
    callback.on_epoch_end(state)
    assert state.over
    assert state.stop_reason == "last is 1.0"
