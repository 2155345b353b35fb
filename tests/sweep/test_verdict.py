import optuna
import pytest
from optuna.trial import TrialState

from sweeper.sweep.verdict import judge_error, judge_return


@pytest.mark.parametrize(
    ("value", "n_objectives", "stop_reason", "state", "values"),
    [
        (1, 1, None, TrialState.COMPLETE, (1.0,)),
        ("0.5", 1, None, TrialState.COMPLETE, (0.5,)),
        ([1, 2], 2, None, TrialState.COMPLETE, (1.0, 2.0)),
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
    verdict = judge_return(value, n_objectives, stop_reason)
    assert (verdict.state, verdict.values) == (state, values)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (MemoryError("no room"), TrialState.FAIL, "MemoryError: no room"),
        (SystemExit(3), TrialState.FAIL, "SystemExit: 3"),
        (optuna.TrialPruned(), TrialState.PRUNED, "pruned"),
    ],
)
def test_the_verdict_on_an_error_has_its_text_as_reason(error, state, reason) -> None:
    verdict = judge_error(error)
    assert (verdict.state, verdict.reason) == (state, reason)


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
    assert judge_return(10**400, 1, None).state == TrialState.FAIL
