"""The study that runs the points of an ablation path: its command, and the values it has found."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeper.cli.overrides import override_text, quoted
from sweeper.errors import TrainingError
from sweeper.sweep.budget import is_own
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.explain.ablation import Point
from sweeper.sweep.stop_rule import is_feasible
from sweeper.sweep.storage import open_storage

NOT_TAKEN = (
    *("--multirun", "-m", "study=", "hydra.sweeper.sampler.", "hydra.sweeper.pruner."),
    *("hydra/sweeper/sampler=", "hydra/sweeper/pruner=", "hydra.sweeper.study_name="),
)
"""The beginnings of a study's arguments that its ablation does not take over."""

SETTINGS = (
    *("hydra.sweeper.study=resume", "hydra.sweeper.join=false", "hydra.sweeper.auto=false"),
    *("hydra.sweeper.warm_start=false", "hydra.sweeper.timeout=null", "hydra.sweeper.stop=null"),
    *("hydra.sweeper.conclude=null", "hydra.sweeper.finalists=null"),
    *("hydra.sweeper.enqueue_from=null", "hydra.sweeper.constraints=null"),
    *("hydra.sweeper.max_failure_rate=0", "hydra.sweeper.custom_search_space=null"),
    *("hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none"),
)


@dataclass(frozen=True)
class AblationStudy:
    """The study of one ablation path.

    Args:
        command: Command of the study whose winner is explained.
        name: Name of the ablation's own study.
        folder: Its folder.
        fixed: Overrides that all of its points share.
        texts: Default and winner's value of each key that differs, in Hydra's override grammar.
    """

    command: StudyCommand
    name: str
    folder: Path
    fixed: Sequence[str]
    texts: Mapping[str, tuple[str, str]]

    def run(self, points: Sequence[Point]) -> None:
        """Run the points that the study does not have yet, each as a trial.

        Raises:
            TrainingError: a run failed, or was interrupted; the same call goes on.
        """
        done = subprocess.run(self.arguments(points), cwd=self.command.cwd, check=False)
        if done.returncode:
            raise TrainingError(
                f"the runs of study {self.name} have ended with exit code {done.returncode}; the "
                "same command goes on with them"
            )

    def arguments(self, points: Sequence[Point]) -> list[str]:
        """Return the command line that runs these points."""
        space = [f"{key}=choice({default},{best})" for key, (default, best) in self.texts.items()]
        pairs = (
            [f"{key}:{self.texts[key][key in point]}" for key in self.texts] for point in points
        )
        enqueue = ",".join(f"{{{','.join(each)}}}" for each in pairs)
        return [
            *(sys.executable, *self.command.program, "--multirun"),
            *(*self.fixed, *space, *SETTINGS),
            f"hydra.sweeper.study_name={quoted(self.name)}",
            f"hydra.sweep.dir={quoted(self.folder)}",
            f"hydra.sweeper.n_trials={len(points)}",
            f"hydra.sweeper.enqueue=[{enqueue}]",
        ]

    def known(self) -> dict[Point, float]:
        """Return the values of the points that the study has run."""
        storage = self._storage()
        if storage is None or self.name not in optuna.get_all_study_names(storage):
            return {}
        study = optuna.load_study(study_name=self.name, storage=storage)
        return values_of_points(study.get_trials(deepcopy=False), {}, self.texts)

    def _storage(self) -> BaseStorage | None:
        """Return its storage; None if that would be a new file."""
        if self.command.storage is not None:
            return open_storage(self.command.place(self.folder), self.folder)
        has_journal = (self.folder / "journal.log").is_file()
        return open_storage(None, self.folder) if has_journal else None


def values_of_points(
    trials: Sequence[FrozenTrial],
    shared: Mapping[str, str],
    texts: Mapping[str, tuple[str, str]],
) -> dict[Point, float]:
    """Return the values of the points among complete trials, the first one of each point.

    A trial counts if it has the `shared` values and, for each key of `texts`, one of the two.
    """
    found: dict[Point, float] = {}
    for trial in trials:
        if trial.state != TrialState.COMPLETE or not (is_own(trial) and is_feasible(trial)):
            continue
        own = {key: text_of(value) for key, value in trial.params.items()}
        wanted = {key: (text,) for key, text in shared.items()} | dict(texts)
        if all(key in own and _is_one_of(own[key], each) for key, each in wanted.items()):
            point = Point(key for key, (_, best) in texts.items() if same(own[key], best))
            found.setdefault(point, trial.values[0])
    return found


def same(one: str, other: str) -> bool:
    """Return whether two values in Hydra's override grammar are equal, such as 1 and 1.0."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _is_one_of(text: str, texts: Sequence[str]) -> bool:
    return any(same(text, each) for each in texts)


def text_of(stored: object) -> str:
    """Return a value in Hydra's override grammar, given it as Optuna stores it."""
    return stored if isinstance(stored, str) else override_text(stored)


def fixed_arguments(command: StudyCommand, keys: Sequence[str]) -> list[str]:
    """Return the arguments that the ablation of a study takes over: no sweep, none of `keys`."""
    parser, taken = OverridesParser.create(), list[str]()
    for argument in command.arguments:
        if argument.startswith(NOT_TAKEN):
            continue
        try:
            override = parser.parse_override(argument)
        except HydraException:
            taken.append(argument)  # a flag, such as --config-dir, or its value
            continue
        if override.get_key_element() not in keys and not override.is_sweep_override():
            taken.append(argument)
    return taken
