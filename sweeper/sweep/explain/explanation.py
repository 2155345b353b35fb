"""The explanation of a study's winner: what each change from the default config brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.study import StudyDirection

from sweeper.cli.overrides import override_text
from sweeper.errors import ConfigError
from sweeper.secrets import MASK
from sweeper.space.live import config_key
from sweeper.sweep.command import recorded_command
from sweeper.sweep.elsewhere.address import open_existing
from sweeper.sweep.explain.ablation import ablation
from sweeper.sweep.explain.ablation_study import (
    AblationStudy,
    fixed_arguments,
    same,
    text_of,
    values_of_points,
)
from sweeper.sweep.explain.account import Change, changes
from sweeper.sweep.explain.defaults_of import default_config
from sweeper.sweep.results.front import best_trials

EXPLAIN_FOLDER = "explain"


@dataclass(frozen=True)
class Explanation:
    """What each change brought.

    Args:
        baseline: Name of the first point.
        start: Value of the first point.
        changes: The changes, in order.
    """

    baseline: str
    start: float
    changes: Sequence[Change]


def explained(place: Path, bounds: Sequence[str] = ()) -> Explanation:
    """Return the explanation of the study in a folder; run what is missing for it.

    `bounds` are overrides that make the runs shorter. Without them, runs of the study count too.

    Raises:
        ConfigError: this is no folder of a study, or the study cannot be explained.
        TrainingError: a run failed, or was interrupted.
    """
    folder = place.absolute()
    command = recorded_command(folder)
    if command.storage is not None and MASK in command.storage:
        raise ConfigError(
            f"{place}: the study is in {command.storage}, whose password is not on record; put it "
            "into ~/.pgpass, and leave it out of hydra.sweeper.storage"
        )
    name, storage = open_existing(command.place(folder), command.study)
    study = optuna.load_study(study_name=name, storage=storage)
    if len(study.directions) > 1:
        raise ConfigError(f"study {name} has several objectives; only one can be explained")
    best = best_trials(study)
    if not best:
        raise ConfigError(f"study {name} has no complete trial; run its command first")
    winner = {config_key(key): text_of(value) for key, value in best[0].params.items()}
    fixed = fixed_arguments(command, list(winner))
    first = default_config(command, fixed)
    groups = {key: value for key, value in winner.items() if _is_group(first, key)}
    options = [f"{key}={value}" for key, value in groups.items()]
    config = default_config(command, [*fixed, *options]) if groups else first
    texts, equal = _texts(config, {k: v for k, v in winner.items() if k not in groups})
    shared = groups | equal
    suffix = "-".join([str(best[0].number), *(b.replace("=", "-") for b in bounds)])
    lines = [*fixed, *(f"{key}={value}" for key, value in shared.items()), *bounds]
    if not texts:
        return Explanation("default config", best[0].values[0], ())
    runs = AblationStudy(
        command, f"{name}-explain-{suffix}", folder / EXPLAIN_FOLDER / suffix, lines, texts
    )
    maximize = study.directions[0] == StudyDirection.MAXIMIZE
    trials = [] if bounds else study.get_trials(deepcopy=False)
    by_key = [_by_key(trial) for trial in trials]
    earlier = values_of_points(by_key, shared, texts)
    baseline = " ".join(["default config", *(["with", *options] if groups else [])])
    path = ablation(list(texts), earlier | runs.known(), maximize)
    while path.missing:
        runs.run([*runs.known(), *path.missing])
        path = ablation(list(texts), earlier | runs.known(), maximize)
    assert path.start is not None
    return Explanation(baseline, path.start, changes(path, texts, maximize))


def _by_key(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    """Return a copy of a trial whose parameters have the names of config keys."""
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params={config_key(name): value for name, value in trial.params.items()},
        distributions={config_key(name): d for name, d in trial.distributions.items()},
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
    )


def _is_group(config: DictConfig, key: str) -> bool:
    return "/" in key or "@" in key or isinstance(_value(config, key), dict)


def _texts(
    config: DictConfig, winner: Mapping[str, str]
) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Return default and winner's value of the keys that differ, and the values of the others."""
    default = {key: override_text(_value(config, key)) for key in winner}
    differing = {k: (default[k], t) for k, t in winner.items() if not same(default[k], t)}
    return differing, {k: text for k, text in winner.items() if k not in differing}


def _value(config: DictConfig, key: str) -> Any:
    value = OmegaConf.select(config, key.lstrip("+~"))
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
