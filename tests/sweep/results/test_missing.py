import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweeper.sweep.budget import FAILURE_KEY, POINT_KEY, SURPLUS, Budget
from sweeper.sweep.results.missing import missing_line

GRID = Budget(6, exhaustive=True, n_points=6)
SAMPLED = Budget(6, n_points=6)


def trials_of(points, is_grid=True):
    """Return trials from pairs of a point (a value of x) and a state."""
    study = optuna.create_study()
    distributions = {"x": optuna.distributions.IntDistribution(0, 20)}
    for x, state, *reason in points:
        study.add_trial(
            create_trial(
                state=TrialState[state],
                value=1.0 if state == "COMPLETE" else None,
                params={"x": x} if not reason else {},
                distributions=distributions if not reason else {},
                user_attrs={FAILURE_KEY: reason[0]} if reason else {},
                system_attrs={POINT_KEY: x, "fixed_params": {"x": x}} if is_grid else {},
            )
        )
    return study.get_trials(deepcopy=False)


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([(0, "COMPLETE"), (1, "FAIL"), (2, "FAIL")], "2 of 6 points failed and are missing: "
         "x=1; x=2; the same command tries them again"),
        ([(0, "COMPLETE"), (1, "FAIL"), (1, "FAIL")], "1 of 6 points failed and is missing: "
         "x=1; the same command tries it again"),
        ([(1, "FAIL", "its config cannot be composed")], "1 of 6 points failed and is missing: "
         "x=1; the same command tries it again"),
        ([(1, "FAIL"), (1, "COMPLETE"), (2, "FAIL"), (2, "PRUNED"), (3, "FAIL"), (3, "WAITING")],
         ""),
        ([(1, "FAIL", SURPLUS)], ""),
        ([(7, "FAIL")], ""),  # a point of an earlier command, which asked for more
        ([], ""),
    ],
)  # fmt: skip
def test_a_point_that_failed_is_missing_until_it_is_done(live, points, line) -> None:
    assert missing_line(trials_of(points), GRID, live("x=range(0,9)", "steps=2")) == line


@pytest.mark.parametrize(
    ("budget", "missing"),
    [
        (SAMPLED, ["x=1", "x=2"]),
        (Budget(None, n_points=6), ["x=1", "x=2"]),
        (Budget(2, n_points=6), ["x=1"]),  # one more was asked for
        (Budget(1, n_points=6), []),
        (Budget(6), []),  # an infinite space has other points
        (Budget(None), []),
    ],
)
def test_a_sampled_study_misses_points_only_if_its_space_is_finite(live, budget, missing) -> None:
    trials = trials_of([(0, "COMPLETE"), (1, "FAIL"), (2, "FAIL")], is_grid=False)
    line = missing_line(trials, budget, live("x=range(0,6)"))
    points = "; ".join(missing)
    assert (f"missing: {points}; the same" in line) if missing else (line == "")


def test_a_long_list_of_points_is_cut(live) -> None:
    trials = trials_of([(x, "FAIL") for x in range(9)] * 2 + [(x, "FAIL") for x in range(9, 13)])
    budget = Budget(20, exhaustive=True, n_points=20)
    line = missing_line(trials, budget, live("x=range(0,20)"))
    assert "x=9; and 3 more; the same command tries them again" in line
