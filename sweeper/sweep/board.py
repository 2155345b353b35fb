"""The progress of a study: a live table in a terminal, one line for each trial elsewhere."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sweeper.sweep.budget import is_own, was_not_needed
from sweeper.sweep.finals.job import FinalJob
from sweeper.sweep.finals.stage import finals_name
from sweeper.sweep.lease import Lease
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.stop_rule import is_feasible
from sweeper.sweep.storage import open_storage, read_trials
from sweeper.sweep.study import count_by_state
from sweeper.sweep.verdict import failure_text
from sweeper.text import in_one_line, printable

log = logging.getLogger(__name__)
REFRESH_SECONDS = 0.5


class Board:
    """Context manager that shows the progress of a study from a thread.

    `in_terminal` is False if the trials print to the same terminal; the table is then not used.
    """

    def __init__(self, study: optuna.Study, spec: StudySpec, in_terminal: bool) -> None:
        self._spec, self._direction = spec, study.directions[0]
        self._multi_objective = len(study.directions) > 1
        self._console = Console(soft_wrap=True, highlight=False, markup=False)
        self._live = in_terminal and self._console.is_terminal
        finished = [t for t in _own_trials(study) if t.state.is_finished()]
        self._printed = {t.number for t in finished}
        self._n_done = sum(t.state != TrialState.FAIL for t in finished)
        self._n_finished_before, self._start_seconds = len(finished), time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="board", daemon=True)

    def __enter__(self) -> "Board":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            self._show()
        except Exception as error:  # the workers meet the same error, and say more
            log.warning("The progress of the study is no longer shown: %s", in_one_line(error))

    def _show(self) -> None:
        # Opened again, because a database session belongs to one thread.
        storage = open_storage(self._spec.storage, self._spec.folder)
        study = optuna.load_study(study_name=self._spec.name, storage=storage)
        told = {t.number for t in self._jobs(storage) if t.state.is_finished()}
        with self._screen() as screen:
            while True:
                stopping = self._stop.wait(REFRESH_SECONDS)
                trials, jobs = _own_trials(study, anew=stopping), self._jobs(storage)
                if screen is not None:
                    screen.update(self.table(trials, jobs), refresh=True)
                else:
                    self._print_new(trials)
                    for job in jobs:
                        if job.state.is_finished() and job.number not in told:
                            told.add(job.number)
                            self._console.print(printable(_job_line(job)))
                if stopping:
                    return

    def _jobs(self, storage: BaseStorage) -> list[FrozenTrial]:
        """Return the runs of the finalists, and the job that scores the winner after them."""
        if self._spec.finals.n_finalists == 0:
            return []
        study_id = storage.get_study_id_from_name(finals_name(self._spec.name))
        return [t for t in read_trials(storage, study_id) if not was_not_needed(t)]

    def _screen(self) -> AbstractContextManager[Live | None]:
        return (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._live
            else nullcontext()
        )

    def _print_new(self, trials: Sequence[FrozenTrial]) -> None:
        for t in trials:
            if t.state.is_finished() and t.number not in self._printed:
                self._printed.add(t.number)
                self._n_done += t.state != TrialState.FAIL
                self._console.print(printable(self.line(t), newlines=True))

    def line(self, trial: FrozenTrial) -> str:
        """Return a finished trial as a line."""
        total = "" if self._spec.budget.n_trials is None else f"/{self._spec.budget.n_trials}"
        head = f"[{self._n_done}{total}] trial {trial.number} {trial.state.name.lower()}"
        if trial.state == TrialState.FAIL:
            return f"{head} ({_params_text(trial)}): {failure_text(trial)}"
        return f"{head} {values_text(trial) if trial.values else ''}  {_params_text(trial)}"

    def table(self, trials: Sequence[FrozenTrial], jobs: Sequence[FrozenTrial] = ()) -> Table:
        """Return a table of the running trials, with the counts and the best trial as its title.

        The jobs that follow the search are below the trials.
        """
        table = Table(title=self._title(trials), caption=self._speed(trials), title_justify="left")
        for column in ("trial", "worker", "step", "value", "parameters"):
            table.add_column(column, overflow="fold")
        for t in trials:
            if t.state == TrialState.RUNNING:
                table.add_row(*_running_row(t))
        for job in jobs:
            if job.state == TrialState.RUNNING:
                table.add_row(FinalJob.of(job).text, *_running_row(job)[1:])
        return table

    def _title(self, trials: Sequence[FrozenTrial]) -> str:
        n = count_by_state(trials)
        n_done = n[TrialState.COMPLETE] + n[TrialState.PRUNED]
        total = "" if self._spec.budget.n_trials is None else f" of {self._spec.budget.n_trials}"
        line = (
            f"{self._spec.name}: {n_done}{total} done, {n[TrialState.RUNNING]} running, "
            f"{n[TrialState.PRUNED]} pruned, {n[TrialState.FAIL]} failed"
        )
        best = self._best(trials)
        return line if best is None else f"{line}\nbest {values_text(best)}  {_params_text(best)}"

    def _best(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        complete = [t for t in trials if t.state == TrialState.COMPLETE and is_feasible(t)]
        if self._multi_objective or not complete:
            return None
        max_or_min = max if self._direction == optuna.study.StudyDirection.MAXIMIZE else min
        return max_or_min(complete, key=_first_value)

    def _speed(self, trials: Sequence[FrozenTrial]) -> str:
        n_finished = sum(t.state.is_finished() for t in trials)
        minutes = max((time.monotonic() - self._start_seconds) / 60, 1e-9)
        trials_per_minute = (n_finished - self._n_finished_before) / minutes
        line = f"{trials_per_minute:.1f} trials per minute"
        if self._spec.budget.n_trials is None or not trials_per_minute:
            return line
        n_remaining = max(0, self._spec.budget.n_trials - n_finished)
        return f"{line}, about {n_remaining / trials_per_minute:.0f} min remaining"


def _own_trials(study: optuna.Study, anew: bool = False) -> list[FrozenTrial]:
    """Return the trials that the study has run, runs or will run.

    If `anew`, a database is read again, though its last read may be recent.
    """
    trials = (
        read_trials(study._storage, study._study_id) if anew else study.get_trials(deepcopy=False)
    )
    return [t for t in trials if is_own(t) and not was_not_needed(t)]


def _job_line(job: FrozenTrial) -> str:
    """Return a job that has ended as a line."""
    is_done = job.state == TrialState.COMPLETE
    text = values_text(job) if is_done else f"failed: {failure_text(job)}"
    return f"{FinalJob.of(job).text}: {text}"


def _running_row(trial: FrozenTrial) -> tuple[str, ...]:
    lease, step = Lease.read(trial.system_attrs), trial.last_step
    worker = f"{lease.host_name} {lease.pid}" if lease else "?"
    value = "" if step is None else f"{trial.intermediate_values[step]:.6g}"
    return str(trial.number), worker, "" if step is None else str(step), value, _params_text(trial)


def _params_text(trial: FrozenTrial) -> str:
    return " ".join(f"{k}={_value_text(v)}" for k, v in trial.params.items())


def _first_value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _value_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
