import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sweeper.errors import MovedError, OutageError, TrainingError
from sweeper.sweep.budget import FATAL_KEY
from sweeper.sweep.verdict import Objectives, judge_error, judge_return


@pytest.mark.parametrize(
    ("value", "n_objectives", "stop_reason", "state", "values"),
    [
        (1, 1, None, TrialState.COMPLETE, (1.0,)),
        ("0.5", 1, None, TrialState.COMPLETE, (0.5,)),
        ([1, 2], 2, None, TrialState.COMPLETE, (1.0, 2.0)),
        ({"loss": 2}, 1, None, TrialState.COMPLETE, (2.0,)),
        ([1], 2, None, TrialState.FAIL, ()),
        (float("nan"), 1, None, TrialState.FAIL, ()),
        (float("inf"), 1, None, TrialState.FAIL, ()),
        (None, 1, None, TrialState.FAIL, ()),
        ("text", 1, None, TrialState.FAIL, ()),
        (float("nan"), 1, "pruned", TrialState.PRUNED, ()),
        (None, 1, "infeasible", TrialState.PRUNED, ()),
        (1, 1, "interrupted", None, ()),
        (1, 1, "timeout", None, ()),
        (1, 1, "lost", None, ()),
    ],
)
def test_the_verdict_follows_the_value_unless_the_task_was_asked_to_stop(
    value, n_objectives, stop_reason, state, values
) -> None:
    verdict = judge_return(value, Objectives(n_objectives), stop_reason)
    assert (verdict.state, verdict.values) == (state, values)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (MemoryError("no room"), TrialState.FAIL, "MemoryError: no room"),
        (SystemExit(3), TrialState.FAIL, "SystemExit: 3"),
        (optuna.TrialPruned(), TrialState.PRUNED, "pruned"),
        (TrainingError("the loss is nan"), TrialState.FAIL, "TrainingError: the loss is nan"),
        (OutageError("it is away"), None, "it is away"),  # no fault of the trial's
        (MovedError("it was moved"), None, "it was moved"),
    ],
)
def test_the_verdict_on_an_error_has_its_text_as_reason(error, state, reason) -> None:
    verdict = judge_error(error)
    assert (verdict.state, verdict.reason) == (state, reason)


@pytest.mark.parametrize(
    ("stop_reason", "state", "is_pause"),
    [
        (None, TrialState.PRUNED, False),
        ("pruned", TrialState.PRUNED, False),
        ("infeasible", TrialState.PRUNED, False),
        ("paused", None, True),
        ("timeout", None, False),
        ("interrupted", None, False),
        ("lost", None, False),
        ("trial_timeout", TrialState.FAIL, False),
    ],
)
def test_trial_pruned_ends_a_task_that_was_asked_to_stop_as_it_was_asked(
    stop_reason, state, is_pause
) -> None:
    verdict = judge_error(optuna.TrialPruned(), stop_reason)
    assert (verdict.state, verdict.is_pause) == (state, is_pause)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unprintable(), "Unprintable: its text cannot be shown"),
        (ValueError("cannot read \udcff.png"), "ValueError: cannot read \\udcff.png"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_an_error_of_any_text_has_a_reason_in_one_line(error, reason) -> None:
    assert judge_error(error).reason == reason


def test_a_value_that_no_float_holds_fails_the_trial() -> None:
    assert judge_return(10**400, Objectives(1), None).state == TrialState.FAIL


@pytest.mark.parametrize(
    ("value", "objectives", "values"),
    [
        ({"loss": 2, "accuracy": 0.9}, Objectives(1, ("accuracy",)), (0.9,)),
        ({"size": 5, "accuracy": 0.9, "x": 0}, Objectives(2, ("accuracy", "size")), (0.9, 5.0)),
        (0.5, Objectives(1, ("accuracy",)), (0.5,)),
        (np.array([1, -1]), Objectives(2), (1.0, -1.0)),
        (np.float32(0.5), Objectives(1), (0.5,)),
        (np.array(0.5), Objectives(1), (0.5,)),
    ],
)
def test_the_objectives_of_a_mapping_are_found_by_name(value, objectives, values) -> None:
    assert judge_return(value, objectives, None).values == values


@pytest.mark.parametrize(
    ("value", "objectives", "reason"),
    [
        (None, Objectives(1), "returned None, not a finite number"),
        ("text", Objectives(1), "returned 'text', not a finite number"),
        ([1.0], Objectives(2), r"returned \[1.0\], not 2 finite numbers"),
        ({"a": 1, "b": 2}, Objectives(1), "hydra.sweeper.metric=a"),
        ({"a": 1, "b": 2, "c": 3}, Objectives(2), r"hydra.sweeper.metric=\[a,b\]"),
        ({"losss": 1}, Objectives(1, ("loss",)), "without loss; did you mean losss"),
        ({}, Objectives(1, ("loss",)), "without loss; return it"),
        ({"loss": None}, Objectives(1, ("loss",)), r"\{'loss': None\}, not a finite number"),
        ([1, 2], Objectives(1), r"type hydra.sweeper.direction=\[minimize,minimize\] for 2"),
    ],
)
def test_a_value_of_a_wrong_type_ends_the_study(value, objectives, reason) -> None:
    verdict = judge_return(value, objectives, None)
    assert verdict.user_attrs == {FATAL_KEY: True}
    with pytest.raises(ValueError, match=reason):
        raise ValueError(verdict.reason)


def test_a_value_that_is_not_finite_fails_its_trial_alone() -> None:
    assert judge_return(float("nan"), Objectives(1), None).user_attrs == {}
