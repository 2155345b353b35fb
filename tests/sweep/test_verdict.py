import optuna
import pytest
from optuna.trial import TrialState

from sweeper.sweep.verdict import judge_error, judge_return


@pytest.mark.parametrize(
    ("value", "n", "stop", "state", "values"),
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
def test_a_task_is_judged_by_its_value_unless_it_was_told_to_stop(
    value, n, stop, state, values
) -> None:
    verdict = judge_return(value, n, stop)
    assert (verdict.state, verdict.values) == (state, values)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (MemoryError("no room"), TrialState.FAIL, "MemoryError: no room"),
        (SystemExit(3), TrialState.FAIL, "SystemExit: 3"),
        (optuna.TrialPruned(), TrialState.PRUNED, "pruned"),
    ],
)
def test_a_raised_error_is_the_reason(error, state, reason) -> None:
    verdict = judge_error(error)
    assert (verdict.state, verdict.reason) == (state, reason)
