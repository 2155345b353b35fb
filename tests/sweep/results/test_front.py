import numpy as np
import optuna
import pytest
from optuna.trial import create_trial

from sweeper.errors import ConfigError
from sweeper.sweep.results.front import best_trials, chosen_trial, knee, parse_choice, point_key


@pytest.fixture
def make_study():
    """Return a function that makes a study of trials, each its x, values and attributes."""

    def make(*rows, directions=("minimize", "minimize")):
        study = optuna.create_study(directions=list(directions))
        distributions = {"x": optuna.distributions.FloatDistribution(0, 9)}
        for x, values, attrs in rows:
            limits = {"size": attrs.get("excess", 0.0)}
            study.add_trial(
                create_trial(values=values, params={"x": x}, distributions=distributions,
                             user_attrs=attrs, constraints=limits)
            )  # fmt: skip
        return study

    return make


@pytest.mark.parametrize(
    ("rows", "front"),
    [
        ([(1.0, [1, 2], {}), (2.0, [2, 1], {}), (3.0, [2, 2], {})], [0, 1]),
        ([(1.0, [1, 2], {}), (1.0, [1, 2], {})], [0]),
        ([(1.0, [1, 2], {}), (1.0, [2, 1], {})], [0]),  # the same point with other values
        ([(1.0, [3, 3], {}), (1.0, [2, 1], {})], [1]),
        ([(1.0, [1, 2], {}), (2.0, [1, 2], {})], [0, 1]),  # other points with the same values
        ([(1.0, [1, 1], {"excess": 0.5}), (2.0, [2, 2], {"excess": -1.0})], [1]),
        ([(1.0, [1, 1], {"sweeper:imported": "s"}), (2.0, [2, 2], {})], [1]),
        ([], []),
    ],
)
def test_the_front_has_each_point_once(make_study, rows, front) -> None:
    assert [t.number for t in best_trials(make_study(*rows))] == front


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1), ("maximize", 0)])
def test_the_best_trial_is_the_first_of_equal_ones(make_study, direction, best) -> None:
    rows = [(1.0, [3], {}), (2.0, [1], {}), (3.0, [1], {}), (4.0, [3], {})]
    assert [t.number for t in best_trials(make_study(*rows, directions=[direction]))] == [best]


def test_a_repeated_point_with_a_better_value_is_the_best_trial(make_study) -> None:
    study = make_study((1.0, [3], {}), (1.0, [1], {}), directions=["minimize"])
    assert [t.number for t in best_trials(study)] == [1]


@pytest.mark.parametrize(
    ("scaled", "index"),
    [
        ([[0, 1], [0.1, 0.2], [1, 0]], 1),
        ([[0, 1], [0.5, 0.5], [1, 0], [0.9, 0.1]], 1),  # on the line: the one nearest to the origin
        ([[0, 1], [0.9, 0.9], [1, 0]], 0),  # behind the line
        ([[0, 0]], 0),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0.4, 0.3, 0.2], [0.6, 0.6, 0.1]], 3),
        ([[0, 0, 1], [0, 0.1, 0.2], [0, 1, 0]], 1),  # an objective that never changes
    ],
)
def test_the_knee_is_farthest_below_the_plane_of_the_extremes(scaled, index) -> None:
    assert knee(np.array(scaled, dtype=float)) == index


@pytest.mark.parametrize(
    ("choice", "number"), [(None, None), ("knee", 2), (0, 1), (1, 0)]
)  # trial 1 has the highest accuracy, trial 0 the fewest parameters
def test_a_choice_takes_a_member_of_the_front_whatever_the_scales(
    make_study, choice, number
) -> None:
    values = [[0.5, 1e3], [0.99, 1e6], [0.97, 2e5]]
    rows = [(float(x), each, {}) for x, each in enumerate(values)]
    study = make_study(*rows, directions=["maximize", "minimize"])
    chosen = chosen_trial(best_trials(study), study.directions, choice)
    assert (chosen and chosen.number) == number


def test_with_one_objective_the_best_trial_is_the_chosen_one(make_study) -> None:
    study = make_study((1.0, [3], {}), (2.0, [1], {}), directions=["minimize"])
    assert chosen_trial(best_trials(study), study.directions, None).number == 1
    assert chosen_trial([], study.directions, None) is None


@pytest.mark.parametrize(
    ("value", "choice"), [(None, None), ("knee", "knee"), (1, 1), ("size", 1), ("accuracy", 0)]
)
def test_an_objective_is_chosen_by_name_or_number(value, choice) -> None:
    assert parse_choice(value, 2, ("accuracy", "size")) == choice


@pytest.mark.parametrize(
    ("value", "n", "names", "message"),
    [
        ("knee", 1, (), "best=knee: must be null with a single objective; remove it"),
        (0, 1, ("accuracy",), "best=0: must be null"),
        (2, 2, (), r"best=2: must be knee, the number of an objective \(0 or 1\), or null"),
        (-1, 2, (), "best=-1"),
        (True, 2, (), "best=true"),
        ("siz", 2, ("accuracy", "size"), r"\(accuracy, size\).*type hydra.sweeper.best=size"),
        ("size", 2, (), "best=size.*type hydra.sweeper.best=knee"),
    ],
)
def test_a_choice_of_nothing_is_refused_with_what_to_type(value, n, names, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_choice(value, n, names)


def test_the_key_of_a_point_does_not_depend_on_how_a_number_is_stored() -> None:
    assert point_key({"x": 1, "y": "a"}) == point_key({"y": "a", "x": 1.0})
    assert point_key({"x": 1}) != point_key({"x": "1"})
