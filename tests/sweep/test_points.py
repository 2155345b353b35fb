import optuna
import pytest
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int
from optuna.trial import TrialState, create_trial

from sweeper.errors import ConfigError
from sweeper.sweep.budget import DUPLICATE_KEY, Budget, is_own
from sweeper.sweep.elsewhere.fitting import Fitted
from sweeper.sweep.points import FirstPoints, contains, default_point, enqueue, user_point


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (Choice((1, 2)), 2, True),
        (Choice((1, 2)), True, False),
        (Choice(("[1,2]",)), "[1,2]", True),
        (Int(1, 7, step=3), 4, True),
        (Int(1, 7, step=3), 5, False),
        (Int(1, 7), 2.5, False),
        (Float(0, 1), 1, True),
        (Float(0, 1), 1.01, False),
        (Float(0, 0.75, step=0.25), 0.5, True),
        (Float(0, 0.75, step=0.25), 0.6, False),
        (Float(0, 1), "null", False),
    ],
)
def test_a_distribution_contains_the_values_that_it_can_produce(
    distribution, value, expected
) -> None:
    assert contains(distribution, value) is expected


@pytest.mark.parametrize(
    ("lines", "point"),
    [
        (["x=interval(0,5)", "steps=2,3"], {"x": 1.0}),
        (["x=interval(2.0,5)", "steps=interval(-5,-2)"], {"x": 2.0, "steps": -2}),
        (["x=tag(log,interval(1e-3,0.1))", "steps=range(2,9,3)"], {"x": 0.1, "steps": 2}),
        (["x=range(0,2,0.7)", "steps=range(0,9,4)"], {"x": 0.7, "steps": 0}),
        (["x=1,2", "breaks_above=interval(0,5)", "returns=interval(0,5)"], {"breaks_above": 5}),
        (["shape=plane"], {"shape.tilt": 0.5, "shape.size": 3}),
        (["shape=plane,sphere"], {"shape": "sphere"}),
    ],
)
def test_the_default_point_has_the_values_of_the_space_nearest_to_the_defaults(
    live, lines, point
) -> None:
    assert default_point(live(*lines)) == point


def test_the_default_point_includes_the_default_options_search_block(live) -> None:
    point = default_point(live("shape=plane,sphere", auto=True))
    assert point == {"shape": "sphere", "shape.radius": 1, "shape.size@sphere": 1}


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"y": 1}, "y is not searched"),
        ({"x": 9}, r"x=9 lies outside interval\(0\.0,5\.0\); choose a value"),
        ({"shape": "plane", "shape.radius": 1}, "shape.radius is not searched with shape=plane; "),
        ({"shape.radius": 1}, "whether shape.radius is searched depends on shape; name it too"),
    ],
)
def test_a_point_outside_the_space_is_refused(live, point, message) -> None:
    with pytest.raises(ConfigError, match=message):
        user_point(live("x=interval(0,5)", "shape=plane,sphere", auto=True), point)


def test_a_point_is_enqueued_once(live, storage) -> None:
    study = optuna.create_study(storage=storage)
    point = user_point(live("shape=plane,sphere", auto=True), {"shape": "plane", "shape.size": 4})
    assert point == {"shape": "plane", "shape.size@plane": 4}
    for _ in range(2):
        enqueue(study, FirstPoints([{}, point]))
    assert len(study.trials) == 1


FAILED = create_trial(state=TrialState.FAIL, system_attrs={"fixed_params": {"x": 1.0}})
DONE = create_trial(value=1.0, params={"x": 1.0}, distributions={"x": Float(0, 5)})
REPEAT = create_trial(
    state=TrialState.FAIL,
    system_attrs={"fixed_params": {"x": 1.0}},
    user_attrs={DUPLICATE_KEY: 0},
)


@pytest.mark.parametrize(
    ("trials", "again", "n_added"),
    [
        ([FAILED], True, 1),
        ([FAILED, FAILED, REPEAT], True, 1),
        ([FAILED], False, 0),
        ([FAILED, DONE], True, 0),
        ([REPEAT], True, 0),
    ],
)
def test_a_point_whose_trials_have_failed_is_enqueued_again_once(
    storage, trials, again, n_added
) -> None:
    study = optuna.create_study(storage=storage)
    study.add_trials(trials)
    for _ in range(2):
        enqueue(study, FirstPoints([{"x": 1.0}]), again)
    added = study.trials[len(trials) :]
    assert [t.system_attrs["fixed_params"] for t in added] == [{"x": 1.0}] * n_added
    assert all(t.state == TrialState.WAITING for t in added)


def earlier(x, value):
    return Fitted({"x": x}, {"x": Float(0, 5)}, True, (value,), frozenset(), frozenset())


def test_trials_of_another_study_that_an_interrupted_command_did_not_add_are_added_later(
    storage,
) -> None:
    study = optuna.create_study(storage=storage)
    trials = [earlier(x, 2.0 * x) for x in (0.1, 0.2, 0.3)]
    enqueue(study, FirstPoints([], trials[:2]))
    for _ in range(2):
        enqueue(study, FirstPoints([], trials))
    assert [t.value for t in study.trials] == [0.2, 0.4, 0.6]


def test_trials_of_another_study_are_added_once_and_do_not_count(storage) -> None:
    study = optuna.create_study(storage=storage)
    for _ in range(2):
        enqueue(study, FirstPoints([{"x": 0.0}], [earlier(1.0, 2.0)]))
    states = [(t.state.name, t.values, is_own(t)) for t in study.trials]
    assert states == [("WAITING", None, True), ("COMPLETE", [2.0], False)]
    assert not Budget(1).n_finished(study.trials)
