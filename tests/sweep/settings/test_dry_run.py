import functools

import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, WilcoxonPruner
from optuna.samplers import (
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from sweeper.errors import ConfigError
from sweeper.sweep.settings.dry_run import check_search
from sweeper.sweep.settings.recipes import PrunerRecipe, SamplerRecipe

ONE, TWO = ("minimize",), ("minimize", "maximize")
NONE = PrunerRecipe(MedianPruner)
FINITE, INFINITE = ("x=1,2", "shape=sphere,plane"), ("x=interval(-3,3)", "steps=range(1,4)")


class Unusable(RandomSampler):
    def infer_relative_search_space(self, study, trial):
        raise KeyError("lr")


@pytest.mark.parametrize(
    ("make", "directions", "space", "reason"),
    [
        (CmaEsSampler, TWO, INFINITE, "CmaEsSampler cannot be used; choose one with hydra/sweeper"),
        (BruteForceSampler, ONE, INFINITE, "step must be given for BruteForceSampler"),
        (functools.partial(CmaEsSampler, n_startup_trials="a"), ONE, INFINITE, "not supported"),
        (functools.partial(TPESampler, n_ei_candidates=0), ONE, INFINITE, "choose one with"),
        (Unusable(), ONE, FINITE, "KeyError: 'lr'"),
    ],
)
def test_a_sampler_that_cannot_search_a_space_is_refused(
    live, make, directions, space, reason
) -> None:
    with pytest.raises(ConfigError, match=f"^hydra.sweeper.sampler: cannot search.*{reason}"):
        check_search(SamplerRecipe(make), NONE, directions, live(*space))


@pytest.mark.parametrize("kind", [TPESampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler])
@pytest.mark.parametrize("directions", [ONE, TWO])
@pytest.mark.parametrize("space", [FINITE, INFINITE])
def test_a_sampler_that_can_search_a_space_is_accepted(live, kind, directions, space) -> None:
    check_search(SamplerRecipe(kind), NONE, directions, live(*space, auto=True))


@pytest.mark.parametrize(("kind", "space"), [(CmaEsSampler, FINITE), (BruteForceSampler, FINITE)])
def test_a_sampler_for_some_spaces_is_accepted_for_these(live, kind, space) -> None:
    check_search(SamplerRecipe(kind), NONE, ONE, live(*space))


@pytest.mark.parametrize("kind", [HyperbandPruner, WilcoxonPruner])
def test_a_pruner_that_can_prune_is_accepted(live, kind) -> None:
    check_search(SamplerRecipe(RandomSampler), PrunerRecipe(kind), ONE, live(*FINITE))


def test_a_pruner_that_cannot_prune_is_refused(live) -> None:
    recipe = PrunerRecipe(functools.partial(HyperbandPruner, max_resource=0))
    with pytest.raises(ConfigError, match="^hydra.sweeper.pruner: cannot prune this study: math"):
        check_search(SamplerRecipe(RandomSampler), recipe, ONE, live(*FINITE))
