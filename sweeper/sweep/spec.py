"""The description of a study that its workers receive. All of it can be pickled."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optuna.storages import BaseStorage

from sweeper.space.space import Space
from sweeper.sweep.budget import Budget
from sweeper.sweep.finals.stage import FinalStage
from sweeper.sweep.observer import Observers
from sweeper.sweep.settings.recipes import PrunerRecipe, SamplerRecipe
from sweeper.sweep.verdict import Objectives


@dataclass(frozen=True)
class StudySpec:
    """A study, as its workers receive it.

    Args:
        name: Name of the study in its storage.
        folder: Folder of the study; each trial has a folder below it.
        space: Search space.
        budget: Limits of the study.
        sampler: Factory of the sampler.
        pruner: Factory of the pruner.
        storage: URL, path of a journal or storage object; None for the journal in `folder`.
        custom_search_space: Import path of a function that may suggest further parameters.
        constraints: Upper bounds of noted values, by key.
        observers: Followers of the study.
        objectives: What the task must return.
        repeats: Number of seeds with which each trial is run.
        finals: What the workers do when the search is over.
        growing: Config keys whose number a later command may raise.
        parent_id: Id that an observer returned for the study.
        own_process: True if the trials do not run in the process of the command. The output of
            each is then written to its folder.
        foreign_launcher: True if the launcher cannot ask its workers to leave; they then read it
            from the storage.
        command: Identifier of the command that runs the study.
    """

    name: str
    folder: Path
    space: Space
    budget: Budget
    sampler: SamplerRecipe
    pruner: PrunerRecipe
    storage: str | BaseStorage | None = None
    custom_search_space: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    observers: Observers = field(default_factory=Observers)
    objectives: Objectives = field(default_factory=lambda: Objectives(1))
    repeats: int = 1
    growing: tuple[str, ...] = ()
    finals: FinalStage = field(default_factory=FinalStage)
    parent_id: str | None = None
    own_process: bool = False
    foreign_launcher: bool = False
    command: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
