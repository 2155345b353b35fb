"""A few trials in memory, with the study's space, sampler and pruner, before the study has any.

Samplers and pruners refuse a study that they cannot work for only when a trial asks them: CMA-ES
several objectives, for example, or the brute force sampler an interval.
"""

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from sweeper.space.live import LiveSpace
from sweeper.sweep.settings.nodes import failure, is_node
from sweeper.sweep.settings.recipes import NEEDED_PACKAGES, PrunerRecipe, SamplerRecipe
from sweeper.sweep.study import PulledStudy, open_study

NAME = "dry run"
STARTUP_ARGUMENTS = ("n_startup_trials", "population_size")
MAX_STARTUP_TRIALS = 100
SLOW_PACKAGES = ("torch",)

Distributions = Mapping[str, BaseDistribution]


def check_search(
    sampler: SamplerRecipe, pruner: PrunerRecipe, directions: Sequence[str], live: LiveSpace
) -> None:
    """Let the sampler propose points of the study's space, and the pruner decide on a trial.

    Raises:
        ConfigError: one of them cannot, for this space or these directions.
    """
    _check_sampler(sampler, directions, live)
    if len(directions) == 1:
        _check_pruner(pruner, directions)


def _check_sampler(recipe: SamplerRecipe, directions: Sequence[str], live: LiveSpace) -> None:
    """Let the sampler propose two points.

    Raises:
        ConfigError: it cannot, for this space or these directions.
    """
    study, spaces, n = _study(directions), cycle(_spaces(live)), _n_startup(recipe)
    with _quiet():
        _run(study, RandomSampler(seed=0), n, spaces)
        try:
            _run(study, recipe.sampler(n), 2, spaces)
        except Exception as error:  # samplers check a study with errors of several types
            raise failure("sampler", "cannot search this space", recipe.kind, error) from error


def _check_pruner(recipe: PrunerRecipe, directions: Sequence[str]) -> None:
    """Let the pruner decide on a trial after others have ended.

    Raises:
        ConfigError: it cannot.
    """
    study = _study(directions)
    with _quiet():
        _run(study, RandomSampler(seed=0), 6, cycle([{}]))
        try:
            study.pruner, trial = recipe.pruner(), study.ask()
            for step in range(2):
                trial.report(0.5, step)
                trial.should_prune()
        except Exception as error:  # pruners check a study with errors of several types
            raise failure("pruner", "cannot prune this study", recipe.kind, error) from error


def _study(directions: Sequence[str]) -> PulledStudy:
    storage = InMemoryStorage()
    with _quiet():
        kinds = [StudyDirection[direction.upper()] for direction in directions]
        optuna.create_study(study_name=NAME, storage=storage, directions=kinds)
    return open_study(NAME, storage)


def _spaces(live: LiveSpace) -> list[Distributions]:
    """Return the distributions of a trial, for each option of the swept groups."""
    return [
        {p.name: p.distribution for p in live.parameters(options).values()}
        for options in live.option_choices()
    ]


def _run(study: PulledStudy, sampler: BaseSampler, n: int, spaces: Iterator[Distributions]) -> None:
    study.sampler = sampler
    for _ in range(n):
        trial = study.ask(dict(next(spaces)))
        if len(study.directions) == 1:
            trial.report(float(trial.number % 3), 0)
            trial.report(float(trial.number % 5), 1)
        study.tell(trial, [float(trial.number % 5 + i) for i in range(len(study.directions))])


def _n_startup(recipe: SamplerRecipe) -> int:
    """Return how many trials a sampler must know before it does more than draw at random.

    Zero for a sampler that would then import a package for seconds.
    """
    if NEEDED_PACKAGES.get(getattr(recipe.kind, "__name__", "")) in SLOW_PACKAGES:
        return 0
    given = recipe.make if is_node(recipe.make) else getattr(recipe.make, "keywords", {})
    defaults = {name: p.default for name, p in inspect.signature(recipe.kind).parameters.items()}
    numbers = [given.get(name, defaults.get(name)) for name in STARTUP_ARGUMENTS]
    return min(MAX_STARTUP_TRIALS, max(n if isinstance(n, int) else 0 for n in numbers) + 1)


@contextmanager
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
