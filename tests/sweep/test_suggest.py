import optuna
import pytest
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int

from sweeper.sweep.suggest import Preset, Suggester, holds


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
def test_a_distribution_holds_what_it_could_give(distribution, value, expected):
    assert holds(distribution, value) is expected


def suggested(space, preset, storage, n=1):
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    suggester = Suggester(space, preset, storage)
    trials = [study.ask() for _ in range(n)]
    return [(suggester.suggest(t, t.number), t.number) for t in trials], study


def test_the_first_trial_is_the_default_config(live, storage):
    space = live("x=interval(0,5)", "shape=sphere,plane", auto=True)
    [(params, _)], _ = suggested(space, Preset(warm_start=True), storage)
    assert params == {"x": 1.0, "shape": "sphere", "shape.radius": 1, "shape.size": 1}


def test_a_default_outside_the_space_is_sampled(live, storage):
    [(params, _)], _ = suggested(live("x=interval(3,5)"), Preset(warm_start=True), storage)
    assert 3 <= params["x"] <= 5


def test_points_are_tried_in_order_and_completed_by_the_sampler(live, storage):
    space, points = live("x=interval(0,5)", "steps=range(1,9)"), [{"x": 2}, {"steps": 7}]
    suggestions, _ = suggested(space, Preset(warm_start=True, points=points), storage, n=3)
    assert suggestions[1][0]["x"] == 2
    assert suggestions[2][0]["steps"] == 7


def test_a_retried_trial_keeps_its_parameters(live, storage):
    space = live("x=interval(0,5)")
    [(params, number)], study = suggested(space, Preset(warm_start=False), storage)
    again = optuna.Trial(study, study.trials[number]._trial_id)
    assert Suggester(space, Preset(warm_start=False), storage).suggest(again, number) == params
