"""The results of a study: the best trial as a file, a folder, and a command to train it again."""

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from sweeper.cli.overrides import command_line
from sweeper.files import link_or_copy, write_text
from sweeper.secrets import masked_uri
from sweeper.sweep.budget import THREADS_KEY, THREADS_VARIABLE, failures
from sweeper.sweep.live import LiveSpace
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.study import count_by_state
from sweeper.sweep.verdict import DUPLICATE_KEY, failure_text

RESULTS_FILE = "optimization_results.yaml"
BEST_FOLDER = "best"


@dataclass(frozen=True)
class Results:
    """The trials of a study after a command.

    `best` holds the best trial; for several objectives the Pareto front; nothing if no feasible
    trial is complete.
    """

    spec: StudySpec
    live: LiveSpace
    trials: Sequence[FrozenTrial]
    best: Sequence[FrozenTrial]
    n_objectives: int

    @staticmethod
    def of(study: optuna.Study, spec: StudySpec, live: LiveSpace) -> "Results":
        """Return the results of a study."""
        trials = study.get_trials(deepcopy=False)
        best: Sequence[FrozenTrial] = ()
        if any(t.state == TrialState.COMPLETE and _is_feasible(t) for t in trials):
            best = [study.best_trial] if len(study.directions) == 1 else study.best_trials
        return Results(spec, live, trials, best, len(study.directions))

    def write(self) -> None:
        """Write the results file and, for a single objective, the folder of the best trial."""
        if not self.best:
            return
        text = OmegaConf.to_yaml(OmegaConf.create(self.summary()))
        write_text(self.spec.folder / RESULTS_FILE, text)
        if self.n_objectives == 1:
            self._link_best_folder(self.best[0])

    def summary(self) -> dict[str, Any]:
        """Return the content of the results file, in the format of the official Optuna sweeper."""
        if self.n_objectives == 1:
            best = self.best[0]
            params = dict(self.live.by_key(best.params))
            return {"name": "optuna", "best_params": params, "best_value": best.value}
        front = [
            {"params": dict(self.live.by_key(t.params)), "values": list(t.values)}
            for t in self.best
        ]
        return {"name": "optuna", "solutions": front}

    def show(self, interrupted: bool) -> None:
        """Print the counts, the best trials, and the command that trains the best one again."""
        console = Console(soft_wrap=True, highlight=False, markup=False)
        console.print(self._counts_line(interrupted))
        for t in self.best:
            values = ", ".join(f"{v:.6g}" for v in t.values)
            console.print(f"Best: {values} in trial {t.number} of {self.spec.folder}")
            console.print(f"  {shlex.join(map(masked_uri, self.overrides(t)))}")
        if self.n_objectives == 1 and self.best:
            lines = [o for o in self.overrides(self.best[0]) if not o.startswith("study=")]
            command = command_line([masked_uri(line) for line in lines])
            console.print(f"Train it again: {_threads_prefix(self.best[0])}{command}")

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """Return the overrides that give a trial's config."""
        return self.live.composer.overrides(self.live.by_key(trial.params))

    def failure_message(self) -> str:
        """Return the error message of a study in which too many trials failed."""
        failed = failures(self.trials, self.spec.budget.started_at)
        return (
            f"{len(failed)} trials failed, more than hydra.sweeper.max_failure_rate allows; "
            f"trial {failed[-1].number}: {failure_text(failed[-1])}"
        )

    def _counts_line(self, interrupted: bool) -> str:
        n = count_by_state(self.trials)
        n_done = n[TrialState.COMPLETE] + n[TrialState.PRUNED]
        total = "" if self.spec.budget.n_trials is None else f" of {self.spec.budget.n_trials}"
        line = (
            f"Study {self.spec.name}: {n_done}{total} trials done, {n[TrialState.PRUNED]} of them "
            f"pruned, {len(failures(self.trials))} failed"
        )
        n_running = n[TrialState.RUNNING]
        line += f", {n_running} running elsewhere" if n_running and not interrupted else ""
        return line + ("; interrupted, the same command resumes it" if interrupted else "")

    def _link_best_folder(self, trial: FrozenTrial) -> None:
        """Replace `best/` by links to the trial's files, its config at the top level.

        A duplicate has no files, so those of its original are linked.
        """
        number = trial.user_attrs.get(DUPLICATE_KEY, trial.number)
        source, target = self.spec.folder / str(number), self.spec.folder / BEST_FOLDER
        if not source.exists():
            return
        partial = target.with_name(f".{BEST_FOLDER}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, copy_function=link_or_copy)
        for file in (partial / ".hydra").glob("*.yaml"):
            link_or_copy(file, partial / file.name)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)


def _threads_prefix(trial: FrozenTrial) -> str:
    """Return the environment variable for the command if the trial ran with other threads."""
    threads = trial.user_attrs.get(THREADS_KEY)
    same = threads is None or threads == os.environ.get(THREADS_VARIABLE)
    return "" if same else f"{THREADS_VARIABLE}={threads} "


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(violation <= 0 for violation in trial.constraints.values())
