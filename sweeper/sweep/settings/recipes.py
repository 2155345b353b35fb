"""Samplers and pruners as their workers receive them: plain nodes, from which each makes its own.

Python's own objects are taken too, as are classes and functions that return one.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, QMCSampler

from sweeper.space.grid import GridSampler
from sweeper.sweep.settings.nodes import Node, failure, instantiated, is_node, target_of

# Optuna imports these packages only when a trial is sampled.
NEEDED_PACKAGES = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}
GRID_SAMPLERS = (optuna.samplers.GridSampler, GridSampler)
GRID_NODE: Node = {"_target_": f"{GridSampler.__module__}.{GridSampler.__qualname__}"}


@dataclass(frozen=True)
class SamplerRecipe:
    """Factory of samplers, so that each trial of a seeded study can have its own seed.

    With one seeded sampler in each worker, all workers and each resumed study would propose the
    same points again. Here, the seed of a trial is drawn from the study's seed and the trial's
    number. A study that was interrupted therefore samples the same points as one that was not.

    `make` is a node, a function that returns a sampler, or a sampler that all trials share.
    """

    make: Node | Callable[..., BaseSampler] | BaseSampler

    @property
    def kind(self) -> Any:
        """The class of the sampler, or the function that returns it."""
        return _kind("sampler", self.make)

    @property
    def is_grid(self) -> bool:
        """True if the sampler only marks a study of all points."""
        return isinstance(self.kind, type) and issubclass(self.kind, GRID_SAMPLERS)

    @property
    def seeded(self) -> bool:
        """True if each trial needs its own sampler."""
        return self.seed is not None and self.kind is not QMCSampler

    def sampler(self, number: int = 0) -> BaseSampler:
        """Return the sampler of trial `number`."""
        with _quiet():
            return self.new(number)

    def new(self, number: int = 0) -> BaseSampler:
        """Return the sampler of trial `number`; Optuna warns of old arguments and new features."""
        if self.kind is QMCSampler and self.seed is None:
            return _new("sampler", self.make, seed=0)  # type: ignore[no-any-return]
        if not self.seeded:
            return _new("sampler", self.make)  # type: ignore[no-any-return]
        seed = np.random.SeedSequence((self.seed or 0, number)).generate_state(1)[0]
        return _new("sampler", self.make, seed=int(seed))  # type: ignore[no-any-return]

    @property
    def seed(self) -> Any:
        """The seed of the study's sampler, or None."""
        if isinstance(self.make, functools.partial):
            return self.make.keywords.get("seed")
        return self.make.get("seed") if is_node(self.make) else None


@dataclass(frozen=True)
class PrunerRecipe:
    """Factory of a study's pruner.

    `make` is a node, a function that returns a pruner, or a pruner.
    """

    make: Node | Callable[..., BasePruner] | BasePruner

    @property
    def kind(self) -> Any:
        """The class of the pruner, or the function that returns it."""
        return _kind("pruner", self.make)

    def pruner(self) -> BasePruner:
        """Return the pruner."""
        with _quiet():
            return self.new()

    def new(self) -> BasePruner:
        """Return the pruner; Optuna warns of old arguments and new features."""
        return _new("pruner", self.make)  # type: ignore[no-any-return]


def _kind(key: str, make: Any) -> Any:
    if is_node(make):
        return target_of(key, make)
    if isinstance(make, functools.partial):
        return make.func
    return make if callable(make) else type(make)


def _new(key: str, make: Any, **arguments: Any) -> Any:
    if is_node(make):
        return instantiated(key, make, **arguments)
    try:
        return make(**arguments) if callable(make) else make
    except Exception as error:  # samplers check their arguments with errors of several types
        raise failure(key, "cannot be created", _kind(key, make), error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore what Optuna says of arguments: the command has said once which are deprecated."""
    with warnings.catch_warnings():
        # Optuna has called grouping, multivariate TPE and others experimental for years.
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
