"""`sweeper.sweep` and what it returns."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna import Study as OptunaStudy
from optuna.trial import FrozenTrial

from sweeper.api.best_trial import BestTrial, best_trial_of, recorded_lines
from sweeper.api.call import CONFIG_NAME, Call
from sweeper.api.untouched import untouched_figures, untouched_torch
from sweeper.errors import ConfigError
from sweeper.sweep.command import recorded_command
from sweeper.sweep.results.front import best_trials
from sweeper.sweep.storage import open_storage

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

    from sweeper.sweep.results.results import Results

IN_THIS_PROCESS = "hydra/launcher=basic"

Retraining = Callable[[FrozenTrial], tuple[Sequence[str], str]]
"""Function that returns the overrides of a trial, and the command that trains it again."""


@dataclass(frozen=True)
class Study:
    """A study as it was when it was loaded.

    Args:
        name: Name of the study in its storage.
        folder: Folder of the study.
        front: The best trial; with several objectives, the Pareto front.
        optuna: The study of Optuna, for everything that Optuna does with one.
    """

    name: str
    folder: Path
    front: tuple[BestTrial, ...]
    optuna: OptunaStudy = field(repr=False)

    @property
    def best(self) -> BestTrial:
        """The best trial.

        Raises:
            ConfigError: no trial is complete, or the study has several objectives.
        """
        if len(self.optuna.directions) > 1:
            raise ConfigError(f"study {self.name} has several objectives; type study.front")
        if not self.front:
            raise ConfigError(f"study {self.name} has no complete trial; see study.trials")
        return self.front[0]

    @property
    def trials(self) -> "pandas.DataFrame":
        """All trials, a row for each: Optuna's `trials_dataframe` without our own records."""
        attrs = ("number", "value", "state", "params", "user_attrs")
        times = ("datetime_start", "datetime_complete", "duration")
        table = self.optuna.trials_dataframe(attrs=(*attrs, *times))
        ours = [column for column in table.columns if column.startswith("user_attrs_sweeper:")]
        return table.drop(columns=ours)

    @staticmethod
    def load(folder: str | Path, storage: str | None = None) -> "Study":
        """Load the study that a command or a call has written to a folder, such as multirun/NAME.

        `storage` is its database if the URL has a password, which is not on record.

        Raises:
            ConfigError: this is no folder of a study, or its storage cannot be opened.
        """
        place = Path(folder).absolute()
        command = recorded_command(place)
        uri = storage or command.storage
        if uri is not None and "***" in uri:
            raise ConfigError(
                f"{folder}: the study is in {uri}, whose password is not on record; type "
                "Study.load(folder, storage=URL) with the whole URL"
            )
        return _study(
            command.study, place, uri, lambda trial: recorded_lines(trial, place, command)
        )


def sweep(*overrides: str, config_dir: str | Path | None = None) -> Study:
    """Run or resume a study as `python -m sweeper --multirun OVERRIDES` does; return the study.

    The same call again finishes what is missing, and runs nothing if nothing is. The trials run in
    processes of their own, unless an override says otherwise.

    Args:
        overrides: Overrides of the config, such as "search=cnn" and "hydra.sweeper.n_trials=20".
        config_dir: Folder of your own options, as --config-dir.

    Raises:
        ConfigError: a setting or the search space cannot work. No trial has run.
        TrainingError: too many trials failed, or a point of a grid did. `Study.load` still loads
            the study.
        KeyboardInterrupt: the study was interrupted. Its running trials are saved.
    """
    _check(overrides)
    call = Call(overrides, None if config_dir is None else Path(config_dir), multirun=True)
    torch = untouched_torch() if "torch" in sys.modules else nullcontext()
    with call.opened() as (hydra, given), untouched_figures(), torch:
        from sweeper.app import task

        results: Results = hydra.multirun(
            config_name=CONFIG_NAME,
            task_function=task.__wrapped__,  # as `hydra.main` gives it to Hydra
            overrides=given,
        )
        spec = results.spec
        return _study(
            spec.name, spec.folder, spec.storage,
            lambda trial: (results.overrides(trial), results.command(trial)),
        )  # fmt: skip


def _check(overrides: Sequence[Any]) -> None:
    lines = [str(override) for override in overrides]
    for line in lines:
        if line.startswith("hydra/sweeper=") and line != "hydra/sweeper=sweeper":
            raise ConfigError(f"{line}: sweeper.sweep needs hydra/sweeper=sweeper")
        if "__main__." in line and IN_THIS_PROCESS not in lines:
            raise ConfigError(
                f"{line}: the trials run in processes of their own, which cannot import what a "
                f"notebook or a script defines; move it to a module, or type {IN_THIS_PROCESS}"
            )


def _study(name: str, folder: Path, storage: Any, retraining: Retraining) -> Study:
    study = optuna.load_study(study_name=name, storage=open_storage(storage, folder))
    front = [best_trial_of(trial, folder, *retraining(trial)) for trial in best_trials(study)]
    return Study(name, folder, tuple(front), study)
