import time

import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import EXHAUSTED, FAILURE_KEY, Budget
from sweeper.sweep.results.ending import ending_line, silent_constraints, violated_constraints
from sweeper.sweep.stop_rule import StopRule

DONE = create_trial(value=1.0)
FAILED = create_trial(state=TrialState.FAIL)
NO_POINT = create_trial(state=TrialState.FAIL, user_attrs={FAILURE_KEY: EXHAUSTED})


@pytest.mark.parametrize(
    ("budget", "trials", "text"),
    [
        (Budget(1), [DONE], None),
        (Budget(2), [DONE], None),
        (Budget(2, stop=StopRule(1.0, None, True)), [DONE], "has ended: the best value reached 1"),
        (Budget(2), [DONE, NO_POINT], "has no other point"),
        (Budget(2, deadline=1.0), [DONE], "the same command goes on"),
        (Budget(1, deadline=1.0), [DONE], None),
        (Budget(2, max_failure_rate=1.0), [FAILED, FAILED], "2 trials failed"),
    ],
)
def test_a_study_that_ends_early_says_why(budget, trials, text) -> None:
    line = ending_line(budget, trials, time.time())
    assert (line is None) if text is None else (text in line)


def test_a_constraint_that_no_trial_has_noted_is_named() -> None:
    noted = create_trial(value=1.0, constraints={"size": -1.0})
    assert silent_constraints([noted, DONE], ["size", "time"]) == ["time"]
    assert silent_constraints([FAILED], ["size"]) == []


def test_a_study_in_which_all_trials_violate_a_constraint_says_so() -> None:
    large = create_trial(value=1.0, constraints={"size": 1.0, "time": -1.0})
    pruned = create_trial(state=TrialState.PRUNED, constraints={"size": 2.0})
    line = violated_constraints([large, pruned, FAILED])
    assert line is not None
    assert "each one violates hydra.sweeper.constraints (size)" in line
    assert violated_constraints([large, DONE]) is None
    assert violated_constraints([FAILED]) is None
