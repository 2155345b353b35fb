"""A study as it runs: one live table on a terminal, a plain line a finished trial elsewhere."""

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.lease import Lease
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import count_by_state

REFRESH_SECONDS = 0.5


class Board:
    """Watches a study from a thread while it is entered.

    `in_terminal` False keeps to plain lines, for trials that print to the same terminal.
    """

    def __init__(self, study: optuna.Study, spec: StudySpec, in_terminal: bool) -> None:
        self._spec, self._direction = spec, study.directions[0]
        self._many = len(study.directions) > 1
        self._console = Console(soft_wrap=True, highlight=False, markup=False)
        self._live = in_terminal and self._console.is_terminal
        finished = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
        self._seen = {t.number for t in finished}
        self._n_done = sum(t.state != TrialState.FAIL for t in finished)
        self._n_before, self._began = len(finished), time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="board", daemon=True)

    def __enter__(self) -> "Board":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        # A storage object of its own: a database session belongs to one thread.
        storage = open_storage(self._spec.storage, self._spec.folder)
        study = optuna.load_study(study_name=self._spec.name, storage=storage)
        with self._screen() as screen:
            while True:
                last = self._end.wait(REFRESH_SECONDS)
                trials = study.get_trials(deepcopy=False)
                if screen is not None:
                    screen.update(self.table(trials), refresh=True)
                else:
                    self._print_new(trials)
                if last:
                    return

    def _screen(self) -> AbstractContextManager[Live | None]:
        return (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._live
            else nullcontext()
        )

    def _print_new(self, trials: Sequence[FrozenTrial]) -> None:
        for t in trials:
            if t.state.is_finished() and t.number not in self._seen:
                self._seen.add(t.number)
                self._n_done += t.state != TrialState.FAIL
                self._console.print(self.line(t))

    def line(self, trial: FrozenTrial) -> str:
        """Return one finished trial as a line."""
        done = self._n_done
        of = "" if self._spec.budget.n_trials is None else f"/{self._spec.budget.n_trials}"
        result = _values(trial) if trial.values else trial.user_attrs.get(FAILURE_KEY, "")
        state = trial.state.name.lower()
        return f"[{done}{of}] trial {trial.number} {state} {result}  {_params(trial)}"

    def table(self, trials: Sequence[FrozenTrial]) -> Table:
        """Return the study as a table: a row a running trial, the counts and the best above."""
        table = Table(title=self._title(trials), caption=self._pace(trials), title_justify="left")
        for column in ("trial", "worker", "step", "value", "parameters"):
            table.add_column(column, overflow="fold")
        for t in trials:
            if t.state == TrialState.RUNNING:
                table.add_row(*_running_row(t))
        return table

    def _title(self, trials: Sequence[FrozenTrial]) -> str:
        n = count_by_state(trials)
        done = n[TrialState.COMPLETE] + n[TrialState.PRUNED]
        of = "" if self._spec.budget.n_trials is None else f" of {self._spec.budget.n_trials}"
        line = (
            f"{self._spec.name}: {done}{of} done, {n[TrialState.RUNNING]} running, "
            f"{n[TrialState.PRUNED]} pruned, {n[TrialState.FAIL]} failed"
        )
        best = self._best(trials)
        return line if best is None else f"{line}\nbest {_values(best)}  {_params(best)}"

    def _best(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        if self._many or not complete:
            return None
        pick = max if self._direction == optuna.study.StudyDirection.MAXIMIZE else min
        return pick(complete, key=_first_value)

    def _pace(self, trials: Sequence[FrozenTrial]) -> str:
        done = sum(t.state.is_finished() for t in trials)
        minutes = max((time.monotonic() - self._began) / 60, 1e-9)
        pace = (done - self._n_before) / minutes
        line = f"{pace:.1f} trials a minute"
        if self._spec.budget.n_trials is None or not pace:
            return line
        left = max(0, self._spec.budget.n_trials - done)
        return f"{line}, about {left / pace:.0f} min left"


def _running_row(trial: FrozenTrial) -> tuple[str, ...]:
    lease, step = Lease.read(trial.system_attrs), trial.last_step
    worker = f"{lease.host.partition('/')[0]} {lease.pid}" if lease else "?"
    value = "" if step is None else f"{trial.intermediate_values[step]:.6g}"
    return str(trial.number), worker, "" if step is None else str(step), value, _params(trial)


def _params(trial: FrozenTrial) -> str:
    return " ".join(f"{k}={_short(v)}" for k, v in trial.params.items())


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{v:.6g}" for v in trial.values)


def _first_value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
