"""The groups of parameters of a study's trials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.search_space.group_decomposed import _SearchSpaceGroup

from sweeper.sweep.found_space import Groups, with_found_space

NAMES = st.lists(st.sets(st.sampled_from("abcde"), min_size=1), max_size=8)


@given(NAMES)
def test_the_groups_are_those_of_optuna_in_its_order(trials: list[set[str]]) -> None:
    quick, own = Groups(), _SearchSpaceGroup()
    for names in trials:
        for group in (quick, own):
            group.add_distributions({name: FloatDistribution(0, 1) for name in names})
    assert quick.search_spaces == own.search_spaces


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_groups_parameters_gets_the_quick_groups() -> None:
    sampler = TPESampler(seed=0, multivariate=True, group=True)
    with_found_space(sampler, TPESampler(seed=0))
    assert isinstance(sampler._group_decomposed_search_space._search_space, Groups)
