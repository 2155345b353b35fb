"""The search space that a sampler infers from the trials, found in less time for a long study."""

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup


class Groups(_SearchSpaceGroup):
    """Optuna's groups of parameters, refined once by all trials that have the same parameters.

    A second trial with these parameters would leave the groups as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._added: set[frozenset[str]] = set()

    def add_distributions(self, distributions: dict[str, BaseDistribution]) -> None:
        names = frozenset(distributions)
        if names not in self._added:
            self._added.add(names)
            super().add_distributions(distributions)


def with_found_space(sampler: BaseSampler, earlier: BaseSampler) -> BaseSampler:
    """Return a trial's sampler with the search space that an earlier, equal one has found.

    A sampler intersects or groups the parameters of all finished trials. A seeded study has a new
    sampler for each trial, which would begin with the first trial again.
    """
    grouped = getattr(sampler, "_group_decomposed_search_space", None)
    if isinstance(grouped, _GroupDecomposedSearchSpace):
        grouped._search_space = Groups()
    known = getattr(earlier, "_search_space", None)
    if type(sampler) is type(earlier) and isinstance(known, IntersectionSearchSpace):
        sampler._search_space = known  # type: ignore[attr-defined]
    return sampler
