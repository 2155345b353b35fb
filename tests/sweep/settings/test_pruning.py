import logging

import pytest
from omegaconf import OmegaConf
from optuna.pruners import MedianPruner, NopPruner

from sweeper.errors import ConfigError
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.settings.pruning import _length_of, promotion_of, study_pruner
from sweeper.sweep.settings.recipes import PrunerRecipe

ONE, TWO = ["minimize"], ["minimize"] * 2
MEDIAN = PrunerRecipe({"_target_": "optuna.pruners.MedianPruner"})
NONE = PrunerRecipe({"_target_": "optuna.pruners.NopPruner"})


def config(*typed):
    return OmegaConf.create({"hydra": {"overrides": {"hydra": list(typed)}}})


@pytest.mark.parametrize(
    ("recipe", "typed", "directions", "is_grid", "kind"),
    [
        (MEDIAN, "", ONE, False, MedianPruner),
        (MEDIAN, "", ONE, True, NopPruner),
        (MEDIAN, "hydra/sweeper/pruner=median", ONE, True, MedianPruner),
        (MEDIAN, "hydra.sweeper.pruner.n_warmup_steps=2", ONE, True, MedianPruner),
        (PrunerRecipe(MedianPruner()), "", ONE, True, MedianPruner),
        (MEDIAN, "", TWO, False, NopPruner),
        (NONE, "hydra/sweeper/pruner=none", TWO, False, NopPruner),
    ],
)
def test_a_study_is_pruned_if_it_can_be_and_should_be(
    recipe, typed, directions, is_grid, kind
) -> None:
    pruner = study_pruner(recipe, config(typed), directions, is_grid)
    assert pruner.kind is kind or isinstance(pruner.pruner(), kind)


def test_a_chosen_pruner_is_refused_for_several_objectives() -> None:
    with pytest.raises(ConfigError, match=r"MedianPruner .* 2 objectives; type hydra/sweeper/prun"):
        study_pruner(MEDIAN, config("hydra/sweeper/pruner=median"), TWO, False)


def test_a_study_with_several_objectives_says_that_it_is_not_pruned(caplog) -> None:
    with caplog.at_level(logging.INFO):
        study_pruner(MEDIAN, config(), TWO, False)
    assert "No trial is pruned, since the study has 2 objectives" in caplog.text


PROMOTION = PrunerRecipe(
    {"_target_": "sweeper.sweep.promotion_pruner.PromotionPruner", "finish": 2, "min_resource": 1}
)


def test_only_the_pruner_of_promotion_pauses_trials() -> None:
    assert promotion_of(MEDIAN, ONE, None) is None
    assert promotion_of(PROMOTION, ["maximize"], False) == Promotion(3, 1, 2, True, False)


def test_the_rule_knows_the_seeds_of_a_trial() -> None:
    assert promotion_of(PROMOTION, ONE, None, repeats=3).repeats == 3


def test_all_finalists_are_trained_to_their_end() -> None:
    rules = (promotion_of(PROMOTION, ONE, None, n_finalists=n) for n in (0, 5))
    assert [rule.finish for rule in rules] == [2, 5]


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"trainer": {"epochs": 5}}, 5.0),
        ({"trainer": {"max_epochs": 7}, "epochs": 9}, 7.0),
        ({"epochs": 9}, 9.0),
        ({"epochs": "${nothing}"}, None),
        ({"trainer": [1], "epochs": [2]}, None),
        ({"epochs": True}, None),
        ({}, None),
    ],
)
def test_a_config_may_name_the_number_of_epochs(config, length) -> None:
    assert _length_of(OmegaConf.create(config), ()) == length


def test_a_number_of_epochs_that_is_searched_is_no_length() -> None:
    assert _length_of(OmegaConf.create({"epochs": 9}), {"epochs"}) is None
