"""The explanation of a study's winner: what each change from the default config brought."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeper.cli.overrides import bare_key
from sweeper.errors import ConfigError, TrainingError
from sweeper.space.live import config_key
from sweeper.sweep.command import StudyCommand, recorded_command
from sweeper.sweep.curve import GROWN_KEY
from sweeper.sweep.elsewhere.address import open_existing
from sweeper.sweep.explain.ablation import Ablation, Point, ablation
from sweeper.sweep.explain.ablation_study import (
    EXPLAIN_FOLDER,
    AblationStudy,
    ablation_name,
    fixed_arguments,
    text_of,
    values_of_points,
)
from sweeper.sweep.explain.account import Change, changes
from sweeper.sweep.explain.defaults_of import check_settings, default_config
from sweeper.sweep.explain.differences import Differences, Texts, differences
from sweeper.sweep.identity import STEERING, steers
from sweeper.sweep.results.front import best_trials
from sweeper.sweep.study import IDENTITY_KEY

RUN_NAME = "run_name"
EXPLAIN_LOCK = ".explain.lock"
"""The file in a study's folder that is locked while the study is being explained."""


@dataclass(frozen=True)
class Explanation:
    """What each change brought.

    Args:
        baseline: Name of the first point.
        start: Value of the first point; infinite if its run failed.
        changes: The changes, in order.
    """

    baseline: str
    start: float
    changes: Sequence[Change]


def explained(place: Path, bounds: Sequence[str] = ()) -> Explanation:
    """Return the explanation of the study in a folder; run what is missing for it.

    `bounds` are overrides that make the runs shorter. Without them, runs of the study count too.

    Raises:
        ConfigError: this is no folder of a study, or the study cannot be explained, such as after
            a change of its settings.
        TrainingError: the runs could not start, or that of the winner failed.
        KeyboardInterrupt: a signal has ended the runs.
    """
    folder = place.absolute()
    command = _command_of(place)
    study = _study_of(command, folder)
    best, maximize = best_trials(study)[0], study.directions[0] == StudyDirection.MAXIMIZE
    winner = {config_key(key): text_of(value) for key, value in best.params.items()}
    bounded = [bound.partition("=")[0] for bound in bounds]
    _check_bounds(bounds, winner, study.study_name)
    check_settings(command, folder)
    of_study = _names_of_study(study)
    fixed = fixed_arguments(command, [*winner, *of_study])
    all_of = differences(command, fixed, winner)
    if not all_of.found:
        return Explanation("default config", best.values[0], ())
    suffix = "-".join([str(best.number), *(b.replace("=", "-") for b in bounds)])
    chosen = {bare_key(key) for key in (*winner, *bounded)}
    grown = _grown(best, chosen)
    raised = _raised(grown, command, fixed, winner, all_of)
    values = {**all_of.shared, **raised}.items()
    fixed = fixed_arguments(command, [*winner, *of_study, *raised, *bounded])
    runs = AblationStudy(
        command,
        ablation_name(study.study_name, suffix),
        folder / EXPLAIN_FOLDER / suffix,
        [*fixed, *(f"{key}={value}" for key, value in values), *bounds],
        all_of.found,
    )
    trials = [] if bounds else study.get_trials(deepcopy=False)
    alike = [trial for trial in trials if _grown(trial, chosen) == grown]
    earlier = _values_of(alike, winner, all_of)
    path = _whole_path(runs.begun(), earlier, maximize)
    assert path.start is not None
    if not math.isfinite(path.steps[-1].value):
        raise TrainingError(f"the run with all values of the winner failed; see {runs.folder}")
    return Explanation(_baseline(all_of), path.start, changes(path, all_of.found, maximize))


def _command_of(place: Path) -> StudyCommand:
    """Return the command of the study in a folder.

    Raises:
        ConfigError: there is none, or it needs a password that is not on record.
    """
    command = recorded_command(place.absolute())
    if command.lacks_password:
        raise ConfigError(
            f"{place}: the study is in {command.storage}, whose password is not on record; put it "
            "into ~/.pgpass, and leave it out of hydra.sweeper.storage"
        )
    return command


def _study_of(command: StudyCommand, folder: Path) -> optuna.Study:
    """Return the study of a command.

    Raises:
        ConfigError: there is none, or it has no single objective or no complete trial.
    """
    name, storage = open_existing(command.place(folder), command.study)
    study = optuna.load_study(study_name=name, storage=storage)
    if len(study.directions) > 1:
        raise ConfigError(f"study {name} has several objectives; only one can be explained")
    if not best_trials(study):
        raise ConfigError(f"study {name} has no complete trial; run its command first")
    return study


def _names_of_study(study: optuna.Study) -> list[str]:
    """Return the key that names the study on the tracker's page, if the study has such a key."""
    steering = study.user_attrs.get(IDENTITY_KEY, {}).get(STEERING, ())
    return [RUN_NAME] if steers(RUN_NAME, steering) else []


def _check_bounds(bounds: Sequence[str], winner: Texts, study: str) -> None:
    """Check that no bound has a key that the study has searched.

    Raises:
        ConfigError: one has.
    """
    searched = set(map(bare_key, winner))
    for bound in bounds:
        key = bound.partition("=")[0]
        if key in searched:
            raise ConfigError(
                f"{bound}: study {study} searches {key}, so its runs cannot all have one value; "
                "leave this bound out"
            )


def _values_of(
    trials: Sequence[FrozenTrial], winner: Texts, all_of: Differences
) -> dict[Point, float]:
    """Return the values of the points that trials of the explained study have run."""
    named = [_by_key(trial) for trial in trials]
    named = [trial for trial in named if _has_defaults_beside(trial, winner, all_of)]
    return values_of_points(named, all_of.shared, all_of.found)


def _grown(trial: FrozenTrial, chosen: Container[str]) -> dict[str, str]:
    """Return the numbers of a trial that a later command may have raised, such as its epochs.

    Runs with other numbers cannot be compared. Left out are the `chosen` keys: the parameters of
    the winner, and what the user bounds.
    """
    grown = trial.user_attrs.get(GROWN_KEY, {})
    return {key: text_of(number) for key, number in grown.items() if key not in chosen}


def _raised(
    grown: Texts,
    command: StudyCommand,
    fixed: Sequence[str],
    winner: Texts,
    all_of: Differences,
) -> dict[str, str]:
    """Return those numbers of the winner that its command has raised since."""
    differing = {k: text for k, text in grown.items() if not all_of.are_defaults({k: text})}
    if not differing:
        return {}
    # An option of the winner may have such a number too.
    lines = [f"{key}={text}" for key, text in winner.items()]
    now = replace(all_of, config=default_config(command, [*fixed, *lines]))
    return {k: text for k, text in differing.items() if not now.are_defaults({k: text})}


def _has_defaults_beside(trial: FrozenTrial, winner: Texts, all_of: Differences) -> bool:
    """Return whether the parameters that the winner lacks, as its options do, have defaults."""
    others = {k: text_of(value) for k, value in trial.params.items() if k not in winner}
    return all_of.are_defaults(others)


def _whole_path(runs: AblationStudy, earlier: Mapping[Point, float], maximize: bool) -> Ablation:
    """Return the path; run the points that it lacks, step by step."""
    keys, worst = [each.key for each in runs.differences], -math.inf if maximize else math.inf
    while True:
        failed = dict.fromkeys(runs.failed(), worst)
        path = ablation(keys, {**failed, **earlier, **runs.known()}, maximize)
        if not path.missing:
            return path
        runs.run(path.missing)


def _baseline(all_of: Differences) -> str:
    """Return the name of the first point."""
    options = [f"{key}={value}" for key, value in all_of.from_start.items()]
    return " ".join(["default config", *(["with", *options] if options else [])])


def _by_key(trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of a trial whose parameters have the names of config keys."""
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params={config_key(name): value for name, value in trial.params.items()},
        distributions={config_key(name): d for name, d in trial.distributions.items()},
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
    )
