"""The best trials of a study, as `sweeper.Study` holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna import Study as OptunaStudy
from optuna.trial import FrozenTrial

from sweeper.cli.overrides import bare_key, override_line
from sweeper.space.live import config_key
from sweeper.sweep.command import STARTS_STUDY_KEY, StudyCommand
from sweeper.sweep.identity import FULL_GRID, METRIC, OVERRIDE
from sweeper.sweep.results.ended_trial import N_THREADS_KEY, Retraining, retraining
from sweeper.sweep.results.front import Choice, parse_choice
from sweeper.sweep.results.trial_folder import TrialLayout
from sweeper.sweep.study import IDENTITY_KEY, MULTIRUN_FILE


@dataclass(frozen=True)
class BestTrial:
    """A trial that no other trial beats.

    Args:
        number: Number of the trial.
        params: Values of its parameters by config key, as the config has them.
        values: Value of each objective, in the order of the objectives.
        folder: Folder of the trial.
        overrides: Overrides of its config, without the study's names for its run and its model, and
            with its number of threads if that is another one here: `sweeper.run(*overrides)` trains
            it again. If the study was given a `config_dir`, give it to `run` too.
        command: The command that does so.
    """

    number: int
    params: Mapping[str, Any]
    values: tuple[float, ...]
    folder: Path
    overrides: tuple[str, ...] = field(repr=False)
    command: str = field(repr=False)

    @property
    def value(self) -> float:
        """The value of the first objective."""
        return self.values[0]


def best_trial_of(trial: FrozenTrial, folder: Path, again: Retraining) -> BestTrial:
    return BestTrial(
        number=trial.number,
        params={config_key(name): plain_value(value) for name, value in trial.params.items()},
        values=tuple(trial.values),
        folder=folder / _layout(trial).subdir,
        overrides=again.overrides,
        command=again.command,
    )


def plain_value(value: Any) -> Any:
    """Return a value as Python has it, given it as Optuna stores it.

    Optuna stores lists, mappings, null and ambiguous numbers as texts of Hydra's override grammar.
    A text that is none of that grammar, such as a function of the user may suggest, is returned.
    """
    if not isinstance(value, str):
        return value
    try:
        override = _parser().parse_override(f"key={value}")
    except HydraException:
        return value
    return value if override.is_sweep_override() else override.value()


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def recorded_choice(study: OptunaStudy, folder: Path) -> Choice:
    """Return the choice by `hydra.sweeper.best` of a study's last command; None if not on record.

    No interpolation of a file is resolved.
    """
    try:
        identity = study.user_attrs.get(IDENTITY_KEY, {})
        names = str(identity.get(METRIC, "")).split(", ")
        return parse_choice(_recorded_keys(folder)["best"], len(study.directions), names)
    except Exception:  # an earlier version, or someone, has written the file
        return None


def _recorded_keys(folder: Path) -> Mapping[str, Any]:
    """Return the unresolved values of `hydra.sweeper` of a study's last command."""
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / MULTIRUN_FILE), resolve=False)
    keys: Mapping[str, Any] = config["hydra"]["sweeper"]
    return keys


def recorded_retraining(
    trial: FrozenTrial, study: OptunaStudy, folder: Path, command: StudyCommand
) -> Retraining:
    """Return what trains a trial again, by the overrides that Hydra has written for it.

    If the files are gone, they are those that all trials share, and the trial's parameters.
    """
    files = sorted((folder / _layout(trial).subdir).rglob("overrides.yaml"), key=_depth)
    lines: Any = _stored_lines(trial, study)
    config_file = folder / MULTIRUN_FILE
    if files:
        lines = OmegaConf.to_container(OmegaConf.load(files[0]), resolve=False)
        config_file = files[0].with_name("config.yaml")
    names_threads = N_THREADS_KEY in map(bare_key, lines) or _names_threads(config_file)
    try:
        steering = list(_recorded_keys(folder)["steering"])
    except Exception:  # as in `recorded_choice`
        steering = []
    starts_study = study.user_attrs.get(STARTS_STUDY_KEY, False)
    started = command.program, command.arguments
    return retraining(trial, started, lines, steering, starts_study, names_threads)


def _names_threads(config_file: Path) -> bool:
    """Return whether the config of a trial, or that of its study, has a number of threads."""
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(config_file), resolve=False)
        return config["trainer"]["threads"] is not None
    except Exception:  # as in `recorded_choice`
        return False


def _stored_lines(trial: FrozenTrial, study: OptunaStudy) -> list[str]:
    """Return the overrides of a trial as far as the study itself has them."""
    params = [override_line(config_key(name), value) for name, value in trial.params.items()]
    keys = set(map(bare_key, params))
    record = study.user_attrs.get(IDENTITY_KEY, {}).items()
    typed = [str(v) for k, v in record if k.startswith(OVERRIDE) and k != OVERRIDE + FULL_GRID]
    return [*(line for line in typed if bare_key(line) not in keys), *params]


def _layout(trial: FrozenTrial) -> TrialLayout:
    return TrialLayout.recorded(trial) or TrialLayout(str(trial.number))


def _depth(file: Path) -> tuple[int, int, Path]:
    """Return the place of a file among others: one of `seed-9` comes before one of `seed-10`."""
    return len(file.parts), len(str(file)), file
