"""The results of a study: the best trial as a file, a folder, and a command to train it again."""

import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from rich.console import Console

from sweeper.files import reason_of, write_text
from sweeper.secrets import masked_uri
from sweeper.space.live import LiveSpace
from sweeper.sweep.budget import failures
from sweeper.sweep.counts import Counts
from sweeper.sweep.finals.final_records import Finalists, Scores
from sweeper.sweep.results.best_folder import remove_best_folder
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.results.ended_trial import EndedTrial, Retraining
from sweeper.sweep.results.ending import ending_line, silent_constraints, violated_constraints
from sweeper.sweep.results.front import Choice, best_trials, chosen_trial, ranked_trials
from sweeper.sweep.results.front_text import FRONT_FILE, choice_line, front_lines, front_script
from sweeper.sweep.results.missing import missing_line
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.verdict import failure_text
from sweeper.yaml_text import yaml_text

log = logging.getLogger(__name__)
RESULTS_FILE = "optimization_results.yaml"


@dataclass(frozen=True)
class Results:
    """The trials of a study after a command.

    Args:
        spec: The study.
        live: Its search space.
        trials: All trials.
        best: The best trial; for several objectives the Pareto front; nothing if no feasible trial
            is complete.
        n_objectives: Number of objectives.
        choice: Which member of the front is chosen.
        chosen: The best trial, or the chosen member of the front; None if there is none.
        finalists: The race of the finalists; None if there was none of those asked for.
        n_ranked: Number of trials that can be finalists.
        scores: What came of `hydra.sweeper.conclude` for the chosen trial; None if nothing.
    """

    spec: StudySpec
    live: LiveSpace
    trials: Sequence[FrozenTrial]
    best: Sequence[FrozenTrial]
    n_objectives: int
    choice: Choice = None
    chosen: FrozenTrial | None = None
    finalists: Finalists | None = None
    n_ranked: int = 0
    scores: Scores | None = None

    @staticmethod
    def of(
        study: optuna.Study, spec: StudySpec, live: LiveSpace, choice: Choice = None
    ) -> "Results":
        """Return the results of a study.

        `choice` is that of `hydra.sweeper.best`, as `parse_choice` returns it.
        """
        trials, best = study.get_trials(deepcopy=False), best_trials(study)
        chosen = chosen_trial(best, study.directions, choice)
        scores = Scores.recorded(study.user_attrs, None if chosen is None else chosen.number)
        n_objectives, ranking = len(study.directions), list[int]()
        if n_objectives == 1:
            ranking = [t.number for t in ranked_trials(study)]
        finalists, asked = Finalists.recorded(study.user_attrs, ranking), spec.finals
        n_asked = min(asked.n_finalists, len(ranking))
        if n_asked and finalists and not finalists.is_race_of(n_asked, asked.seeds):
            finalists = None  # those of an earlier command, which asked for another race
        return Results(
            spec=spec,
            live=live,
            trials=trials,
            best=best,
            n_objectives=n_objectives,
            choice=choice,
            chosen=chosen,
            finalists=finalists,
            n_ranked=len(ranking),
            scores=scores,
        )

    def write(self) -> None:
        """Write the results file, the commands of a Pareto front, and the folder of the best trial.

        If a file cannot be written, a warning says so.
        """
        if not self.best:
            return
        try:
            self._write_files()
        except OSError as error:
            log.warning("The results are not in %s: %s", self.spec.folder, reason_of(error))
        if self.chosen is None:
            remove_best_folder(self.spec.folder)
        else:
            EndedTrial(self.chosen, self.live).link_best_folder(self.spec.folder, self.trials)

    def summary(self) -> dict[str, Any]:
        """Return the content of the results file, in the format of the official Optuna sweeper.

        The finalists and the scores of the winner are added to it, if there are any.
        """
        values = dict(self.scores.values) if self.scores else {}
        more: dict[str, Any] = {"finalists": self.finalists.summary} if self.finalists else {}
        more |= {"scores": values} if values else {}
        if self.n_objectives == 1:
            best = self.best[0]
            params = dict(self.live.by_key(best.params))
            return {"name": "optuna", "best_params": params, "best_value": best.value} | more
        front = [
            {"params": dict(self.live.by_key(t.params)), "values": list(t.values)}
            for t in self.best
        ]
        return {"name": "optuna", "solutions": front} | more

    def show(self, interrupted: bool, next_steps: str = "") -> None:
        """Print the counts, the best trials, and the commands that train them again.

        `next_steps` are other commands, for the lines before the last one.
        """
        console = Console(soft_wrap=True, highlight=False, markup=False)
        console.print(self._counts_line(interrupted))
        ending = ending_line(self.spec.budget, self.trials, time.time())
        if ending is not None and not interrupted:
            console.print(ending)
        for key in silent_constraints(self.trials, list(self.spec.constraints)):
            log.warning(
                "hydra.sweeper.constraints: no trial has noted %s; call sweeper.trial.note(%r, "
                "value) in the task",
                key,
                key,
            )
        for line in [*self._front_lines(), *self._best_lines(next_steps)]:
            console.print(line)

    def missing(self) -> str:
        """Return a line on the points of a finite space that failed; empty if none is missing."""
        return missing_line(self.trials, self.spec.budget, self.live)

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """Return the overrides that give a trial's config."""
        return EndedTrial(trial, self.live).overrides

    def again(self, trial: FrozenTrial) -> Retraining:
        """Return what trains a trial again."""
        return EndedTrial(trial, self.live).again

    def command(self, trial: FrozenTrial) -> str:
        """Return the command that trains a trial again."""
        return self.again(trial).command

    def failure_message(self) -> str:
        """Return the error message of a study in which too many trials failed."""
        failed = self.spec.budget.failed(self.trials)
        return (
            f"{len(failed)} trials failed, more than hydra.sweeper.max_failure_rate allows; "
            f"trial {failed[-1].number}: {failure_text(failed[-1])}"
        )

    def _write_files(self) -> None:
        write_text(self.spec.folder / RESULTS_FILE, yaml_text(self.summary()))
        if self.n_objectives > 1:
            script = front_script(self.best, self.spec.objectives.names, self.command)
            write_text(self.spec.folder / FRONT_FILE, script)

    def _counts_line(self, interrupted: bool) -> str:
        n = Counts.of(self.trials, pauses=self.spec.budget.promotion is not None)
        n_trials = self.spec.budget.n_trials
        total = "" if n_trials is None or n.done > n_trials else f" of {n_trials}"
        paused = f" and {n.paused} paused" if n.paused else ""
        line = (
            f"Study {self.spec.name}: {n.done}{total} trials done, {n.pruned} of them pruned"
            f"{paused}, {len(failures(self.trials))} failed"
        )
        line += f", {n.running} running elsewhere" if n.running and not interrupted else ""
        return line + ("; interrupted, the same command resumes it" if interrupted else "")

    def _front_lines(self) -> list[str]:
        if self.n_objectives == 1 or not self.best:
            return []
        names = self.spec.objectives.names
        lines = front_lines(self.best, names, self.command)
        lines.append(f"All of them, with their commands, are in {self.spec.folder / FRONT_FILE}")
        if self.chosen is None:
            lines.append(choice_line(names))
        return lines

    def _best_lines(self, next_steps: str) -> list[str]:
        if self.chosen is None:
            violated = None if self.best else violated_constraints(self.trials)
            return [] if violated is None else [violated]
        word = "Best" + ("" if self.n_objectives == 1 else f" ({self._choice_text()})")
        values, number = values_text(self.chosen), self.chosen.number
        foreign = EndedTrial(self.chosen, self.live).foreign_line(self.spec.folder)
        return [
            f"{word}: {values} in trial {number} of {self.spec.folder}",
            f"  {shlex.join(map(masked_uri, self.overrides(self.chosen)))}",
            *([foreign] if foreign else []),
            *self._final_lines(self.chosen),
            *([next_steps] if next_steps else []),
            f"Train it again: {self.command(self.chosen)}",
        ]

    def _final_lines(self, winner: FrozenTrial) -> list[str]:
        """Return what the race of the finalists and the scores of the winner have shown."""
        lines = [*self.scores.lines, *self.scores.warnings] if self.scores else []
        if self.finalists is not None:
            params = " ".join(f"{k}={v}" for k, v in self.live.by_key(winner.params).items())
            return [*self.finalists.lines, self.finalists.sentence(params), *lines]
        if not self.spec.finals.n_finalists:
            return lines
        if self.n_ranked == 1:
            return ["No race of finalists: only one trial is complete", *lines]
        return ["The finalists' runs are not complete; the same command goes on", *lines]

    def _choice_text(self) -> str:
        names = self.spec.objectives.names
        if isinstance(self.choice, int):
            return names[self.choice] if names else f"objective {self.choice}"
        return str(self.choice)
