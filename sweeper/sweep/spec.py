"""The description of a study that its workers receive. All of it can be pickled."""

import functools
import uuid
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
    """Factory of samplers, so that each trial of a seeded study can have its own seed.

    With one seeded sampler in each worker, all workers and each resumed study would propose the
    same points again. Here, the seed of a trial is drawn from the study's seed and the trial's
    number. A study that was interrupted therefore samples the same points as one that was not.

    `make` is a partial of a sampler class, or a sampler that all trials share.
    """

    make: "functools.partial[BaseSampler] | BaseSampler"

    @property
    def seeded(self) -> bool:
        """True if each trial needs its own sampler."""
        seed = self.make.keywords.get("seed") if isinstance(self.make, functools.partial) else None
        return seed is not None and self.make.func is not QMCSampler  # type: ignore[union-attr]

    def sampler(self, number: int = 0) -> BaseSampler:
        """Return the sampler of trial `number`."""
        if isinstance(self.make, BaseSampler):
            return self.make
        with warnings.catch_warnings():
            # Optuna has called grouping, multivariate TPE and others experimental for years.
            warnings.simplefilter("ignore", ExperimentalWarning)
            if not self.seeded:
                return self.make()
            entropy = (self.make.keywords["seed"], number)
            return self.make(seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]))


@dataclass(frozen=True)
class StudySpec:
    """A study, as its workers receive it.

    Args:
        name: Name of the study in its storage.
        folder: Folder of the study; each trial has a folder below it.
        space: Search space.
        budget: Limits of the study.
        sampler: Factory of the sampler.
        pruner: Pruner.
        storage: URL, path of a journal or storage object; None for the journal in `folder`.
        custom_search_space: Import path of a function that may suggest further parameters.
        constraints: Upper bounds of noted values, by key.
        observers: Followers of the study.
        parent_id: Id that an observer returned for the study.
        capture_output: True if each trial's output is written to its folder.
        own_process: True if the trials do not run in the process of the command.
        foreign_launcher: True if the launcher cannot ask its workers to leave; they then read it
            from the storage.
        command: Identifier of the command that runs the study.
    """

    name: str
    folder: Path
    space: Space
    budget: Budget
    sampler: SamplerRecipe
    pruner: BasePruner
    storage: str | BaseStorage | None = None
    custom_search_space: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    observers: Observers = field(default_factory=Observers)
    parent_id: str | None = None
    capture_output: bool = False
    own_process: bool = False
    foreign_launcher: bool = False
    command: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
