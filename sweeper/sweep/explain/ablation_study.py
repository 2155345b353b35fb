"""The study that runs the points of an ablation path: its command, and the values it has found."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweeper.cli.interrupts import Interrupt, Interrupted
from sweeper.cli.overrides import flags_and_overrides, override_text, quoted
from sweeper.errors import TrainingError
from sweeper.sweep.budget import failures, may_be_best
from sweeper.sweep.command import PART_VARIABLE, StudyCommand
from sweeper.sweep.explain.ablation import Point
from sweeper.sweep.explain.differences import Difference, Texts, same
from sweeper.sweep.storage import JOURNAL, open_storage

EXPLAIN_FOLDER = "explain"
"""The folder of a study in which the studies of its ablations have theirs."""

SETTINGS = (
    *("hydra.sweeper.study=resume", "hydra.sweeper.join=false", "hydra.sweeper.auto=false"),
    *("hydra.sweeper.warm_start=false", "hydra.sweeper.timeout=null", "hydra.sweeper.stop=null"),
    *("hydra.sweeper.conclude=null", "hydra.sweeper.finalists=null"),
    *("hydra.sweeper.enqueue_from=null", "hydra.sweeper.constraints=null"),
    "hydra.sweeper.max_failure_rate=0",
    *("hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none"),
)

OWN_KEYS = (
    *("hydra.sweeper.study_name", "hydra.sweep.dir", "hydra.sweeper.custom_search_space"),
    *("hydra.sweeper.n_trials", "hydra.sweeper.enqueue"),
)
"""The keys whose values differ between the commands of ablations, in the order of these."""

_SET = (*OWN_KEYS, *(line.partition("=")[0] for line in SETTINGS))
NOT_TAKEN = frozenset([*_SET, *(key.replace("/", ".") for key in _SET)])
"""The keys of a study's arguments that its ablation does not take over: it sets its own, and of a
group also what lies below it."""


def ablation_name(study: str, suffix: str) -> str:
    """Return the name of an ablation's study; `suffix` begins with the number of the winner."""
    return f"{study}-explain-{suffix}"


@dataclass(frozen=True)
class AblationStudy:
    """The study of one ablation path.

    Args:
        command: Command of the study whose winner is explained.
        name: Name of the ablation's own study.
        folder: Its folder.
        fixed: Overrides that all of its points share.
        differences: What its points differ in.
        failed_before: Numbers of the trials that had failed when this call started. Their points
            are run again.
    """

    command: StudyCommand
    name: str
    folder: Path
    fixed: Sequence[str]
    differences: Sequence[Difference]
    failed_before: frozenset[int] = frozenset()

    def run(self, points: Sequence[Point]) -> None:
        """Run points, each as a trial, after those that the study has, until one of them fails.

        Raises:
            TrainingError: the runs could not start, or have brought no point; the same call goes
                on.
            KeyboardInterrupt: a signal has ended them; the same call goes on.
        """
        failed, known = self.failed(), self.known()
        every = [*known, *points]
        code = run_to_end(self.arguments(every), self.command.start_folder)
        if self.failed() == failed and (code or self.known() == known):
            raise TrainingError(
                f"the runs of study {self.name} have ended with exit code {code}; the same command "
                "goes on with them"
            )

    def arguments(self, points: Sequence[Point]) -> list[str]:
        """Return the command line that runs these points."""
        values = {k: v for each in self.differences for k, v in each.values.items()}
        space = [  # a choice() takes no null
            f"{key}={default},{best}"
            for key, (default, best) in values.items()
            if default is not None
        ]
        is_open = len(space) < len(values)
        function = f"{__package__}.enqueued.suggest" if is_open else "null"
        enqueue = ",".join(f"{{{','.join(self._pairs(point))}}}" for point in points)
        own = quoted(self.name), quoted(self.folder), function, len(points), f"[{enqueue}]"
        return [
            *(sys.executable, *self.command.program, "--multirun"),
            *(*self.fixed, *space, *SETTINGS),
            *(f"{key}={value}" for key, value in zip(OWN_KEYS, own, strict=True)),
        ]

    def _pairs(self, point: Point) -> list[str]:
        """Return the keys of a point with their values; not those that its options lack."""
        texts = {
            key: best if each.key in point else default
            for each in self.differences
            for key, (default, best) in each.values.items()
        }
        return [f"{key}:{text}" for key, text in texts.items() if text is not None]

    def known(self) -> dict[Point, float]:
        """Return the values of the points that the study has run."""
        return values_of_points(self._trials(), {}, self.differences)

    def failed(self) -> set[Point]:
        """Return the points whose runs have failed under this call."""
        points = (_point(t.params, {}, self.differences) for t in self._failures())
        return {point for point in points if point is not None}

    def begun(self) -> "AblationStudy":
        """Return the study for a call that starts now."""
        return replace(self, failed_before=frozenset(t.number for t in self._failures()))

    def _failures(self) -> Sequence[FrozenTrial]:
        return failures(self._trials(), self.failed_before)

    def _trials(self) -> Sequence[FrozenTrial]:
        storage = self._storage()
        if storage is None or self.name not in optuna.get_all_study_names(storage):
            return ()
        study = optuna.load_study(study_name=self.name, storage=storage)
        return study.get_trials(deepcopy=False)

    def _storage(self) -> BaseStorage | None:
        """Return its storage; None if that would be a new file."""
        if self.command.storage is not None:
            return open_storage(self.command.place(self.folder), self.folder)
        has_journal = (self.folder / JOURNAL).is_file()
        return open_storage(None, self.folder) if has_journal else None


def run_to_end(command: Sequence[str], folder: Path) -> int:
    """Run a command as a part of this one in a folder, and return its exit code.

    A signal is passed on, so that the command puts its trials back before it ends. If a terminal
    has sent it to both of them, the two count as one. A second signal ends the command at once.

    Raises:
        KeyboardInterrupt: a signal has ended it.
    """
    started: list[subprocess.Popen[bytes]] = []

    def end() -> None:
        for process in started:
            process.terminate()

    def end_at_once() -> None:
        for process in started:
            process.kill()

    with (
        Interrupt(end, end_at_once) as interrupt,
        subprocess.Popen(command, cwd=folder, env=os.environ | {PART_VARIABLE: "1"}) as process,
    ):
        started.append(process)
        if interrupt.requested:  # before there was a process to tell
            process.terminate()
        code = process.wait()
    if interrupt.requested:
        raise Interrupted(interrupt.number)
    return code


def values_of_points(
    trials: Sequence[FrozenTrial], shared: Texts, differences: Sequence[Difference]
) -> dict[Point, float]:
    """Return the values of the points among complete trials, the first one of each point.

    A trial counts if it has the `shared` values and, for each difference, the values of one side.
    """
    found: dict[Point, float] = {}
    for trial in trials:
        if not may_be_best(trial):
            continue
        point = _point(trial.params, shared, differences)
        if point is not None:
            found.setdefault(point, trial.values[0])
    return found


def _point(
    params: Mapping[str, Any], shared: Texts, differences: Sequence[Difference]
) -> Point | None:
    """Return the point of a trial's parameters; None if it is no point of the path."""
    own = {key: text_of(value) for key, value in params.items()}
    sides = [_side(own, each) for each in differences]
    if None in sides or not _has(own, shared):
        return None
    return Point(each.key for each, side in zip(differences, sides, strict=True) if side)


def _side(own: Texts, difference: Difference) -> bool | None:
    """Return True for the winner's values, False for the defaults, and None for others.

    The option that is the default may not have searched the keys that belong to the winner's.
    """
    if _has(own, {key: best for key, (_, best) in difference.values.items()}):
        return True
    companions = difference.companions.items()
    defaults = {key: default for key, (default, _) in companions if key in own}
    is_default = _has(own, {difference.key: difference.default} | defaults)
    return False if is_default else None


def _has(own: Texts, wanted: Mapping[str, str | None]) -> bool:
    return all(
        key in own and text is not None and same(own[key], text) for key, text in wanted.items()
    )


def text_of(stored: object) -> str:
    """Return a value in Hydra's override grammar, given it as Optuna stores it."""
    return stored if isinstance(stored, str) else override_text(stored)


def fixed_arguments(command: StudyCommand, keys: Sequence[str]) -> list[str]:
    """Return the arguments that the ablation of a study takes over: no sweep, none of `keys`."""
    flags, overrides = flags_and_overrides(command.arguments)
    parser, taken = OverridesParser.create(), list[str]()
    for text in overrides:
        override = parser.parse_override(text)
        key = override.get_key_element()
        is_own = key in (*keys, "study") or any(
            f"{key.lstrip('+~')}.".startswith(f"{k}.") for k in NOT_TAKEN
        )
        if not is_own and not override.is_sweep_override():
            taken.append(text)
    return [*(flag for flag in flags if flag not in ("--multirun", "-m")), *taken]
