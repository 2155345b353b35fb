import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sweeper.sweep.point_index import PointIndex


def trial(number, x, state=TrialState.COMPLETE):
    value = 0.0 if state == TrialState.COMPLETE else None
    made = create_trial(
        params={"x": x}, distributions={"x": FloatDistribution(0, 9)}, value=value, state=state
    )
    made.number = number
    return made


def numbers(index, trials, x):
    return [t.number for t in index.with_params(trials, {"x": x})]


def test_trials_with_the_same_parameters_are_found_in_order() -> None:
    trials = [trial(0, 0.3), trial(1, 1.0), trial(2, 0.1 + 0.2, TrialState.RUNNING)]
    assert numbers(PointIndex(), [*trials, trial(3, 0.3)], 0.3) == [0, 2, 3]
    assert numbers(PointIndex(), trials, 2.0) == []


def test_a_trial_is_found_with_the_parameters_that_it_has_now() -> None:
    index, running = PointIndex(), optuna.trial.create_trial(state=TrialState.RUNNING)
    assert numbers(index, [running], 1.0) == []
    drawn = trial(0, 1.0, TrialState.RUNNING)
    assert numbers(index, [drawn], 1.0) == [0]
    assert numbers(index, [trial(0, 1.0), trial(1, 1.0)], 1.0) == [0, 1]
    assert numbers(index, [trial(0, 1.0), trial(1, 1.0)], 2.0) == []


def test_a_finished_trial_is_not_looked_at_again() -> None:
    index = PointIndex()
    assert numbers(index, [trial(0, 1.0)], 1.0) == [0]
    assert numbers(index, [trial(0, 5.0)], 1.0) == [0]
