"""`sweeper.sweep` and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna import Study as OptunaStudy
from optuna.trial import FrozenTrial

from sweeper.api.best_trial import (
    BestTrial,
    best_trial_of,
    recorded_choice,
    recorded_retraining,
)
from sweeper.api.call import CONFIG_NAME, Call
from sweeper.api.untouched import untouched_figures, untouched_torch
from sweeper.errors import ConfigError
from sweeper.secrets import MASK
from sweeper.sweep.budget import is_shown
from sweeper.sweep.command import recorded_command
from sweeper.sweep.curve import is_paused
from sweeper.sweep.elsewhere.address import open_existing
from sweeper.sweep.finals.final_records import Scores
from sweeper.sweep.results.ended_trial import Retraining
from sweeper.sweep.results.front import Choice, best_trials, chosen_trial
from sweeper.sweep.storage import open_storage
from sweeper.sweep.storage_place import absolute

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]

    from sweeper.sweep.results.results import Results

IN_THIS_PROCESS = "hydra/launcher=basic"


@dataclass(frozen=True)
class Study:
    """A study; `front` and `chosen` are as they were when it was loaded.

    Args:
        name: Name of the study in its storage.
        folder: Folder of the study.
        front: The best trial; with several objectives, the Pareto front.
        chosen: The best trial; with several objectives, the member of the front that
            `hydra.sweeper.best` chooses. None if there is none.
        scores: Scores of `best` on the test split, such as `test/accuracy`; empty if there are
            none.
        optuna: The study of Optuna, for everything that Optuna does with one.
    """

    name: str
    folder: Path
    front: tuple[BestTrial, ...]
    chosen: BestTrial | None = field(repr=False)
    scores: Mapping[str, float]
    optuna: OptunaStudy = field(repr=False)

    @property
    def best(self) -> BestTrial:
        """The best trial; with several objectives, the one that `hydra.sweeper.best` chooses.

        Raises:
            ConfigError: no trial is complete, or the study has several objectives and no choice.
        """
        if not self.front:
            raise ConfigError(f"study {self.name} has no complete trial; see study.trials")
        if self.chosen is None:
            raise ConfigError(
                f"study {self.name} has several objectives; type study.front, or add "
                "hydra.sweeper.best=knee"
            )
        return self.chosen

    @property
    def trials(self) -> "pandas.DataFrame":
        """The study's own trials, a row for each: Optuna's `trials_dataframe`.

        The state of a trial that waits for its promotion is `PAUSED`. Left out are our own records,
        trials of other studies, and those that were ended without a run because they were not
        needed.
        """
        attrs = ("number", "value", "state", "params", "user_attrs")
        times = ("datetime_start", "datetime_complete", "duration")
        table = self.optuna.trials_dataframe(attrs=(*attrs, *times))
        if table.empty:  # Optuna gives it no columns
            table = table.reindex(columns=["number", "value", "state", *times])
        trials = self.optuna.get_trials(deepcopy=False)
        own = [t.number for t in trials if is_shown(t)]
        paused = [t.number for t in trials if is_paused(t)]
        table.loc[table["number"].isin(paused), "state"] = "PAUSED"
        table = table[table["number"].isin(own)].reset_index(drop=True)
        return table.drop(columns=[name for name in table.columns if _says_nothing(table, name)])

    @staticmethod
    def load(folder: str | Path, storage: str | None = None) -> "Study":
        """Load the study that a command or a call has written to a folder, such as multirun/NAME.

        `storage` is its database if the URL has a password, which is not on record.

        Raises:
            ConfigError: this is no folder of a study, or its storage does not exist, cannot be
                opened or does not have it.
        """
        place = Path(folder).absolute()
        command = recorded_command(place)
        uri = command.place(place) if storage is None else absolute(storage, Path.cwd())
        if storage is None and MASK in uri:
            raise ConfigError(
                f"{folder}: the study is in {uri}, whose password is not on record; type "
                "Study.load(folder, storage=URL) with the whole URL"
            )
        name, opened = open_existing(uri, command.study)
        study = optuna.load_study(study_name=name, storage=opened)
        choice = recorded_choice(study, place)
        return _study(
            study, place, choice, lambda trial: recorded_retraining(trial, study, place, command)
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
    # torch is imported in any case, by the check of the options.
    with call.opened() as (hydra, given), untouched_figures(), untouched_torch():
        from sweeper.app import task

        results: Results = hydra.multirun(
            config_name=CONFIG_NAME,
            task_function=task.__wrapped__,  # as `hydra.main` gives it to Hydra
            overrides=given,
        )
        spec = results.spec
        study = optuna.load_study(
            study_name=spec.name, storage=open_storage(spec.storage, spec.folder)
        )
        return _study(study, spec.folder, results.choice, results.again)


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


def _study(
    study: OptunaStudy,
    folder: Path,
    choice: Choice,
    retraining: Callable[[FrozenTrial], Retraining],
) -> Study:
    best = best_trials(study)
    chosen = chosen_trial(best, study.directions, choice)
    scores = Scores.recorded(study.user_attrs, None if chosen is None else chosen.number)
    front = {t.number: best_trial_of(t, folder, retraining(t)) for t in best}
    return Study(
        name=study.study_name,
        folder=folder,
        front=tuple(front.values()),
        chosen=None if chosen is None else front[chosen.number],
        scores={} if scores is None else scores.values,
        optuna=study,
    )


def _says_nothing(table: "pandas.DataFrame", column: str) -> bool:
    """Return whether a column has one of our own records, or a note that no trial has."""
    is_note, is_ours = (column.startswith(f"user_attrs_{prefix}") for prefix in ("", "sweeper:"))
    return is_ours or (is_note and bool(table[column].isna().all()))
