"""The best trials of a study, as `sweeper.Study` holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from sweeper.cli.overrides import command_line, override_line
from sweeper.cli.program import standing_in
from sweeper.secrets import masked_uri
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.results.ended_trial import threads_prefix
from sweeper.sweep.results.trial_folder import TrialLayout


@dataclass(frozen=True)
class BestTrial:
    """A trial that no other trial beats.

    Args:
        number: Number of the trial.
        params: Values of its parameters by config key.
        values: Value of each objective.
        folder: Folder of the trial.
        overrides: Overrides of its config: `sweeper.run(*overrides)` trains it again.
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


def best_trial_of(
    trial: FrozenTrial, folder: Path, lines: Sequence[str], command: str
) -> BestTrial:
    return BestTrial(
        number=trial.number,
        params=_by_key(trial.params, lines),
        values=tuple(trial.values),
        folder=folder / _layout(trial).subdir,
        overrides=_repeatable(lines),
        command=command,
    )


def _repeatable(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides of a trial for another run, with `***` in place of passwords."""
    return tuple(masked_uri(line) for line in lines if not line.startswith("study="))


def _by_key(params: Mapping[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """Return values by config key, given those by Optuna's names.

    A name may have the chosen option behind the key: `model.kernel_size@lenet`.
    """
    keys = {line.partition("=")[0] for line in lines}
    by_key = {name: name.rpartition("@")[0] or name for name in params.keys() - keys}
    return {by_key.get(name, name): value for name, value in params.items()}


def recorded_lines(
    trial: FrozenTrial, folder: Path, command: StudyCommand
) -> tuple[Sequence[str], str]:
    """Return overrides and command of a trial from the overrides that Hydra has written for it.

    If it has written none, the parameters are known at least.
    """
    files = sorted((folder / _layout(trial).subdir).rglob("overrides.yaml"), key=_depth)
    lines: Any = [override_line(key, value) for key, value in _by_key(trial.params, ()).items()]
    if files:
        lines = OmegaConf.to_container(OmegaConf.load(files[0]), resolve=False)
    with standing_in(command.program, command.arguments):
        return lines, threads_prefix(trial) + command_line(_repeatable(lines))


def _layout(trial: FrozenTrial) -> TrialLayout:
    return TrialLayout.recorded(trial) or TrialLayout(str(trial.number))


def _depth(file: Path) -> tuple[int, Path]:
    return len(file.parts), file
