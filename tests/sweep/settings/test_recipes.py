import functools
import logging
import pickle
import warnings

import optuna
import pytest
from optuna.pruners import MedianPruner
from optuna.samplers import GridSampler, RandomSampler, TPESampler

from sweeper.errors import ConfigError
from sweeper.sweep.settings.reading import read_pruner, read_sampler

RANDOM = {"_target_": "optuna.samplers.RandomSampler", "seed": 5}
QMC = {"_target_": "optuna.samplers.QMCSampler", "qmc_type": "halton"}
SEEDED = [RANDOM, {**RANDOM, "_partial_": True}, functools.partial(RandomSampler, seed=5)]


def draw(recipe, number):
    study = optuna.create_study(sampler=recipe.sampler(number))
    return study.ask().suggest_float("x", 0, 1)


@pytest.mark.parametrize("make", SEEDED, ids=["node", "partial node", "partial"])
def test_a_seeded_recipe_gives_each_trial_its_own_seed(make) -> None:
    recipe = pickle.loads(pickle.dumps(read_sampler(make)))
    assert recipe.seeded
    assert draw(recipe, 0) == draw(recipe, 0) == draw(read_sampler(RANDOM), 0)
    assert draw(recipe, 0) != draw(recipe, 1)


@pytest.mark.parametrize("make", [RandomSampler(seed=5), RandomSampler, {**RANDOM, "seed": None}])
def test_without_a_seed_of_the_study_all_trials_share_a_sampler(make) -> None:
    assert not read_sampler(make).seeded


def test_all_workers_draw_from_one_quasi_random_sequence() -> None:
    first, second = (read_sampler({**QMC, "scramble": True}).sampler() for _ in range(2))
    assert first._seed == second._seed == 0
    assert not read_sampler({**QMC, "seed": 3}).seeded


@pytest.mark.parametrize(
    "make",
    [
        {"_target_": "optuna.samplers.GridSampler", "_partial_": True, "seed": None},
        {"_target_": "sweeper.space.grid.GridSampler"},
        GridSampler({"x": [1, 2]}),
        functools.partial(GridSampler, seed=1),
    ],
)
def test_every_grid_sampler_marks_a_study_of_all_points(make) -> None:
    recipe = read_sampler(make)
    assert recipe.is_grid
    assert 0 <= draw(recipe, 0) <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ({**RANDOM, "seed": -1}, "sampler.seed=-1: must be a whole number of at least 0"),
        ({**RANDOM, "seed": {"a": 1}}, "sampler.seed={'a': 1}: must be a whole number"),
        ({"_target_": "builtins.dict"}, "sampler={}: must be an Optuna sampler; choose one"),
        (MedianPruner(), "must be an Optuna sampler"),
        ("tpe", "sampler=tpe: must be an Optuna sampler"),
        ({"seed": 1}, "must be an Optuna sampler"),
        ({"_target_": "optuna.samplers.GridSampler", "search_space": {"x": [1]}}, "type them as"),
    ],
)
def test_what_is_no_sampler_is_refused(make, message) -> None:
    with pytest.raises(ConfigError, match=message):
        read_sampler(make)


def test_an_old_argument_is_told_once_and_not_by_workers(caplog) -> None:
    node = {"_target_": "optuna.samplers.TPESampler", "prior_weight": 2.0}
    with caplog.at_level(logging.WARNING):
        recipe = read_sampler(node)
    assert [r.getMessage().partition(" has been")[0] for r in caplog.records] == [
        "hydra.sweeper.sampler: `prior_weight`"
    ]
    with warnings.catch_warnings(record=True) as caught:
        assert isinstance(recipe.sampler(), TPESampler)
    assert caught == []


@pytest.mark.parametrize(
    "make", [MedianPruner(), MedianPruner, {"_target_": "optuna.pruners.MedianPruner"}]
)
def test_a_pruner_is_a_node_an_object_or_a_class(make) -> None:
    recipe = pickle.loads(pickle.dumps(read_pruner(make)))
    assert isinstance(recipe.pruner(), MedianPruner)
