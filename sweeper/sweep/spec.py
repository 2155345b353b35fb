"""What a worker is handed: everything about its study that pickles."""

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, QMCSampler
from optuna.storages import BaseStorage

from sweeper.sweep.budget import Budget
from sweeper.sweep.observer import Observers
from sweeper.sweep.space import Space


@dataclass(frozen=True)
class SamplerRecipe:
    """A sampler still to be made, so that each trial of a seeded study can have its own seed.

    One seeded sampler a worker would make all workers, and each resumed study, propose the same
    points again. A seed drawn from the study's seed and the trial's number does not, and a study
    that was interrupted samples as one that was not.
    """

    make: "functools.partial[BaseSampler] | BaseSampler"

    @property
    def seeded(self) -> bool:
        """Whether each trial needs a sampler of its own."""
        seed = self.make.keywords.get("seed") if isinstance(self.make, functools.partial) else None
        return seed is not None and self.make.func is not QMCSampler  # type: ignore[union-attr]

    def sampler(self, number: int = 0) -> BaseSampler:
        """Return the sampler of trial `number`."""
        if isinstance(self.make, BaseSampler):
            return self.make
        with warnings.catch_warnings():
            # Optuna calls grouping, multivariate TPE and others experimental since years.
            warnings.simplefilter("ignore", ExperimentalWarning)
            if not self.seeded:
                return self.make()
            entropy = (self.make.keywords["seed"], number)
            return self.make(seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]))


@dataclass(frozen=True)
class StudySpec:
    """One study as its workers know it.

    `storage` None is the journal in `folder`; with `capture_output` each trial's output goes to
    its folder.
    """

    name: str
    folder: Path
    space: Space
    budget: Budget
    sampler: SamplerRecipe
    pruner: BasePruner
    storage: str | BaseStorage | None = None
    extend_space: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    observers: Observers = field(default_factory=Observers)
    parent_id: str | None = None
    capture_output: bool = False
