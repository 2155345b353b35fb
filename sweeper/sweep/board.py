"""The progress of a study: a live picture in a terminal, one line for each trial elsewhere."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeper.cli.waiting import can_show
from sweeper.errors import OutageError
from sweeper.sweep.board_view import (
    BLOCKS,
    Frame,
    best_of,
    last_value_text,
    leaderboard,
    params_text,
    picture,
)
from sweeper.sweep.budget import is_shown, was_not_needed
from sweeper.sweep.curve import Place, curve_of, is_paused
from sweeper.sweep.finals.agenda import finals_storage
from sweeper.sweep.finals.final_job import FinalJob
from sweeper.sweep.finals.stage import finals_name
from sweeper.sweep.results.deviation import values_text
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import open_storage, read_trials
from sweeper.sweep.verdict import failure_text
from sweeper.text import epochs_text, in_one_line, printable

log = logging.getLogger(__name__)
REFRESH_SECONDS = 0.4
AWAY_SECONDS = 2.0
"""How long after a look at a storage that is away the next one comes."""

REFRESH_SHARE = 0.04
"""The largest share of a core that the picture takes; the trials of a study may be many."""


class Board:
    """Context manager that shows the progress of a study from a thread.

    `in_terminal` is False if the trials print to the same terminal; the table is then not used.
    """

    def __init__(self, study: optuna.Study, spec: StudySpec, in_terminal: bool) -> None:
        self._spec, self._pauses = spec, spec.budget.promotion is not None
        self._maximize = [d == optuna.study.StudyDirection.MAXIMIZE for d in study.directions]
        self._console = Console(soft_wrap=True, highlight=False, markup=False)
        self._live = in_terminal and self._console.is_terminal
        trials = _own_trials(study)
        self._printed = {(t.number, _event(t, self._pauses)) for t in trials}
        self._done = {t.number for t in trials if _is_done(t, self._pauses)}
        self._n_tried_before, self._start_seconds = self._n_tried(trials), time.monotonic()
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
        finals = finals_storage(self._spec, storage)
        told = {t.number for t in self._jobs(finals) if t.state.is_finished()}
        self._stop.wait(REFRESH_SECONDS)  # the first lines of the launcher come before the picture
        with self._screen() as screen:
            while True:
                began = time.thread_time()
                stopping = self._stop.is_set()
                try:
                    trials, jobs = _own_trials(study, anew=stopping), self._jobs(finals)
                except OutageError:
                    if stopping:
                        return
                    self._stop.wait(AWAY_SECONDS)
                    continue
                if screen is not None:
                    screen.update(self.text(trials, jobs), refresh=True)
                else:
                    self._print_new(trials)
                    for job in jobs:
                        if job.state.is_finished() and job.number not in told:
                            told.add(job.number)
                            self._console.print(printable(_job_line(job)))
                if stopping:
                    break
                spent = time.thread_time() - began
                self._stop.wait(max(REFRESH_SECONDS, spent / REFRESH_SHARE))
        if screen is not None:
            self._print_best(trials)

    def _jobs(self, jobs: BaseStorage) -> list[FrozenTrial]:
        """Return the runs of the finalists, and the job that scores the winner after them."""
        if self._spec.finals.n_finalists == 0:
            return []
        study_id = jobs.get_study_id_from_name(finals_name(self._spec.name))
        return [t for t in read_trials(jobs, study_id) if not was_not_needed(t)]

    def _screen(self) -> AbstractContextManager[Live | None]:
        return (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._live
            else nullcontext()
        )

    def _print_new(self, trials: Sequence[FrozenTrial]) -> None:
        for t in trials:
            event = _event(t, self._pauses)
            if event is None or (t.number, event) in self._printed:
                continue
            self._printed.add((t.number, event))
            if _is_done(t, self._pauses):
                self._done.add(t.number)
            else:  # a promoted trial has failed, and another one takes its place
                self._done.discard(t.number)
            self._console.print(printable(self.line(t), newlines=True))

    def line(self, trial: FrozenTrial) -> str:
        """Return a line on what has become of a trial last, with the number of trials done."""
        event = _event(trial, self._pauses)
        n_done, n_trials = len(self._done), self._spec.budget.n_trials
        # A worker that has joined may have a larger budget.
        total = "" if n_trials is None or n_done > n_trials else f"/{n_trials}"
        head = f"[{n_done}{total}] trial {trial.number} {event.word if event else ''}"
        if trial.state == TrialState.FAIL:
            return f"{head} ({params_text(trial.params)}): {failure_text(trial)}"
        return f"{head} {last_value_text(trial)}  {params_text(trial.params)}"

    def text(self, trials: Sequence[FrozenTrial], jobs: Sequence[FrozenTrial] = ()) -> Text:
        """Return the picture of the study, which fits the terminal."""
        size = self._console.size
        lines = picture(self._frame(trials), trials, jobs, size.width, size.height)
        return Text("\n".join(lines), no_wrap=True, overflow="crop")

    def _frame(self, trials: Sequence[FrozenTrial]) -> Frame:
        budget = self._spec.budget
        left = None if budget.deadline is None else max(0.0, budget.deadline - time.time())
        return Frame(
            maximize=self._maximize,
            n_trials=budget.n_trials,
            seconds=time.monotonic() - self._start_seconds,
            n_tried=self._n_tried(trials) - self._n_tried_before,
            seconds_left=left,
            pauses=self._pauses,
            unicode=can_show(BLOCKS, self._console.file),
        )

    def _n_tried(self, trials: Sequence[FrozenTrial]) -> int:
        """Return the number of trials that have ended, or were paused at least once."""
        return sum(t.state == TrialState.FAIL or _is_done(t, self._pauses) for t in trials)

    def _print_best(self, trials: Sequence[FrozenTrial]) -> None:
        """Leave the best trials on the terminal, once the picture is gone."""
        frame = self._frame(trials)
        if len(self._maximize) == 1 and len(best_of(frame, trials)) > 1:
            for line in leaderboard(frame, trials, self._console.size.width):
                self._console.print(line)
            self._console.print()


@dataclass(frozen=True)
class Event:
    """What has become of a trial, in words, and how often the trial was paused before."""

    word: str
    n_pauses: int


def _event(trial: FrozenTrial, pauses: bool) -> Event | None:
    """Return what has become of a trial last: it was paused, promoted or ended.

    pauses: True if the command pauses trials. Otherwise those that are paused wait to be run.
    """
    if not pauses:
        return Event(trial.state.name.lower(), 0) if trial.state.is_finished() else None
    place = Place.of(trial)
    n_pauses = place.n_pauses
    if is_paused(trial):
        epochs = curve_of(trial)[-1][0]
        return Event(f"paused after {epochs_text(epochs)},", n_pauses)
    # A trial that is being paused has its new place before its new state.
    if trial.state == TrialState.RUNNING and n_pauses and not place.is_paused:
        return Event("promoted", n_pauses)
    return Event(trial.state.name.lower(), n_pauses) if trial.state.is_finished() else None


def _is_done(trial: FrozenTrial, pauses: bool) -> bool:
    """Return whether a trial has ended well, or was paused at least once."""
    has_stopped = trial.state.is_finished() or (pauses and Place.of(trial).n_pauses > 0)
    return has_stopped and trial.state != TrialState.FAIL


def _own_trials(study: optuna.Study, anew: bool = False) -> list[FrozenTrial]:
    """Return the trials that the study has run, runs or will run.

    If `anew`, a database is read again, though its last read may be recent.
    """
    trials = (
        read_trials(study._storage, study._study_id) if anew else study.get_trials(deepcopy=False)
    )
    return [t for t in trials if is_shown(t)]


def _job_line(job: FrozenTrial) -> str:
    """Return a job that has ended as a line."""
    is_done = job.state == TrialState.COMPLETE
    text = values_text(job) if is_done else f"failed: {failure_text(job)}"
    return f"{FinalJob.of(job).text}: {text}"
