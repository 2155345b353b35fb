"""The trials of one worker: each is sampled, composed, run and ended."""

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import optuna
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper import trial as current_trial
from sweeper.cli.interrupts import Interrupt
from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.cli.overrides import shell_word
from sweeper.launch.orphans import exit_with_children
from sweeper.secrets import without_password
from sweeper.space.compose import Composer, has_numbered_subdir
from sweeper.space.grid import all_points, required_grid
from sweeper.space.live import LiveSpace, Params, suggest
from sweeper.sweep.attempt import Attempt, Values
from sweeper.sweep.budget import (
    FAILURE_KEY,
    REPEATS_KEY,
    STATE_WORDS,
    THREADS_KEY,
    THREADS_VARIABLE,
)
from sweeper.sweep.claim import Claim
from sweeper.sweep.curve import GROWN_KEY
from sweeper.sweep.draw import Drawer, Drawn
from sweeper.sweep.found_space import with_found_space
from sweeper.sweep.guard import Guard, Reason
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.observer import Outcome
from sweeper.sweep.reporter import StudyReporter
from sweeper.sweep.results.trial_folder import (
    TrialLayout,
    has_files,
    record_layout,
    with_own_folder,
)
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.study import open_study
from sweeper.sweep.taken_points import TakenPoints
from sweeper.sweep.verdict import (
    FAILURE_FILE,
    FAILURE_FILE_KEY,
    EveryTrialError,
    Verdict,
    judge_error,
    judge_repeat,
    judge_stop,
)
from sweeper.trial import TrialInfo

log = logging.getLogger(__name__)
HUNG_EXIT_CODE = 124  # the one of the program `timeout`


class Session:
    """Runner of one worker's trials, with the worker's connection to the study.

    Trials come from `claim` and are passed to `run`.
    """

    def __init__(
        self,
        spec: StudySpec,
        task: TaskFunction,
        context: HydraContext,
        composer: Composer,
        interrupt: Interrupt,
        storage: BaseStorage,
    ) -> None:
        self._spec, self._task, self._context = spec, task, context
        self._composer, self._interrupt = composer, interrupt
        self._storage = storage
        sampler, pruner = spec.sampler.sampler(), spec.pruner.pruner()
        self._study = open_study(spec.name, self._storage, sampler, pruner)
        self._live = LiveSpace(spec.space, composer)
        is_grid = spec.budget.exhaustive and spec.budget.n_trials is not None
        grid = required_grid(self._live) if is_grid else ()
        self._points = None if spec.custom_search_space else all_points(self._live)
        self.ledger = Ledger(
            self._study, self._storage, spec.folder, spec.budget, grid, spec.command
        )
        self._taken = TakenPoints(self.ledger)
        self._has_ended = False  # the trial that was run last

    def claim(self) -> Claim | None:
        """Return a trial to run, or None if there is none or this worker should leave."""
        return self.ledger.claim(self._should_leave)

    def run(self, claim: Claim) -> None:
        """Run a claimed trial and end it, or put it back if it was asked to stop.

        Raises:
            KeyboardInterrupt: the task was interrupted. Its trial has been put back.
        """
        self._info = self._trial_info(claim)
        with self._guard(claim) as guard:
            try:
                drawn = self._draw(claim)
                self._info = replace(self._info, params=drawn.params)
                # An attempt that was interrupted goes on with the point that it has.
                if drawn.is_exhausted or (drawn.original is not None and not claim.attempt):
                    self._end_trial(claim, judge_repeat(drawn.original))
                    return
                config = self._composer.compose(drawn.params, claim.number, self._spec.folder)
                layout = self._layout(claim, config)
                folder = self._spec.folder / layout.subdir
                files = has_files(folder, config)
                self._info = replace(self._info, folder=folder, has_files=files)
            except Exception as error:
                self._end_trial(claim, judge_error(error))
                return
            reporter = StudyReporter(
                self._info, drawn.trial, claim, self.ledger, guard, self._spec.constraints
            )
            self._run_attempt(claim, config, reporter)

    def _layout(self, claim: Claim, config: DictConfig) -> TrialLayout:
        """Return where the trial's files are; a later attempt has them where the first one had."""
        recorded = TrialLayout.recorded(self.ledger.stored(claim))
        layout = recorded if claim.attempt else None
        if layout is None:
            layout = TrialLayout.of(config)
            if has_numbered_subdir(config):
                record_layout(self._storage, claim, layout)
                return layout
            with self.ledger.locked():
                others = (t for t in self.ledger.trials() if t.number != claim.number)
                layout = with_own_folder(layout, claim.number, self._spec.folder, others)
                record_layout(self._storage, claim, layout)
        with read_write(config), open_dict(config), read_write(config.hydra):
            config.hydra.sweep.subdir = layout.subdir
        return layout

    def _should_leave(self) -> bool:
        ended = self._spec.foreign_launcher and self.ledger.command_has_ended()
        return ended or self._interrupt.requested

    def _draw(self, claim: Claim) -> Drawn:
        if self._spec.sampler.seeded:
            sampler = self._spec.sampler.sampler(claim.number)
            self._study.sampler = with_found_space(sampler, self._study.sampler)
        drawer = Drawer(self._study, self.ledger, self._taken, self._suggest, self._points)
        return drawer.draw(claim, self._study.sampler)

    def _suggest(self, trial: optuna.Trial) -> Params:
        params = suggest(trial, self._live)
        if self._spec.custom_search_space is not None:
            get_method(self._spec.custom_search_space)(self._composer.master, trial)
            names = {p.name for p in self._live.parameters(params).values()}
            added = {k: v for k, v in trial.params.items() if k not in names}
            _check_not_typed(added, self._spec.space.fixed)
            params |= added
        return params

    def _run_attempt(self, claim: Claim, config: DictConfig, reporter: StudyReporter) -> None:
        stored = self.ledger.stored(claim)
        threads = os.environ.get(THREADS_VARIABLE)
        if stored.user_attrs.get(THREADS_KEY, "") != threads:
            self.ledger.keep(claim, THREADS_KEY, threads)
        done = stored.user_attrs.get(REPEATS_KEY, ()) if self._spec.repeats > 1 else ()
        grown = _numbers(config, self._spec.growing)
        if stored.user_attrs.get(GROWN_KEY, {}) != grown:
            if done:  # with shorter runs
                self.ledger.begin_anew(claim)
                done = ()
            self.ledger.keep(claim, GROWN_KEY, grown)
        with current_trial.reported_by(reporter):
            self._spec.observers.trial_started(reporter.info)
            try:
                verdict = self._attempt(claim, reporter).run(config, [*map(tuple, done)])
            except KeyboardInterrupt as error:
                reason = reporter.stop_reason()
                if reason is None and not self._interrupt.requested:
                    # Nobody has asked for it: the task itself raised it.
                    self._end_trial(claim, judge_error(error))
                    return
                self._end_trial(claim, judge_stop(reason or "interrupted"))
                if reason in (None, "interrupted"):
                    raise
                return
            self._end_trial(claim, verdict)

    def _attempt(self, claim: Claim, reporter: StudyReporter) -> Attempt:
        def keep(values: Sequence[Values]) -> bool:
            return self.ledger.keep(claim, REPEATS_KEY, values)

        return Attempt(
            self._spec,
            self._task,
            self._context,
            self._composer,
            reporter,
            dict(reporter.info.params),
            keep,
        )

    def _end_trial(self, claim: Claim, verdict: Verdict) -> None:
        """Write the verdict to the study, then report the outcome to the observers.

        Nothing is written if another worker has taken the trial over.
        """
        reason = verdict.reason and without_password(verdict.reason)
        verdict = replace(verdict, reason=reason, details=without_password(verdict.details))
        ended = verdict.state is not None and self._finish(claim, verdict)
        paused = verdict.is_pause and self.ledger.pause(claim)
        self._has_ended = True
        if not (ended or paused):
            self.ledger.release(claim, alone=self._was_asked_alone())
        elif verdict.is_failure:
            self._report_failure(claim, verdict)
        state = "paused" if paused else "released"
        state = STATE_WORDS[verdict.state] if ended and verdict.state else state
        outcome = Outcome(state, verdict.values, verdict.reason)
        self._spec.observers.trial_finished(self._info, outcome)

    def _was_asked_alone(self) -> bool:
        """Return whether a signal asked this worker alone to end; its pool sends SIGINT."""
        return self._spec.own_process and self._interrupt.number not in (None, signal.SIGINT)

    def _report_failure(self, claim: Claim, verdict: Verdict) -> None:
        file = self._info.folder / FAILURE_FILE
        text = f"{verdict.reason}\n\n{verdict.details}"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:  # a full disk must not end the worker too
            log.warning("%s cannot be written: %s", file, error.strerror)
        if WANTS_TRACEBACK:
            log.warning("%s failed: %s", self._claimed_text(claim), text)
        else:
            log.warning("%s failed: %s; see %s", self._claimed_text(claim), verdict.reason, file)

    def _claimed_text(self, claim: Claim) -> str:
        return f"Trial {claim.number}"

    def _finish(self, claim: Claim, verdict: Verdict) -> bool:
        assert verdict.state is not None
        user_attrs = dict(verdict.user_attrs)
        if verdict.state == TrialState.FAIL:
            user_attrs[FAILURE_KEY] = verdict.reason
        if verdict.is_failure:
            user_attrs[FAILURE_FILE_KEY] = str(self._info.folder / FAILURE_FILE)
        return self.ledger.finish(claim, verdict.state, verdict.values or None, user_attrs)

    def _guard(self, claim: Claim) -> Guard:
        def end_process(reason: Reason) -> None:
            """End this process, whose task hangs; its launcher starts another one."""
            if reason == "lost" and self._has_ended:
                return  # with the trial its lease has ended
            stack = "".join(traceback.format_stack(sys._current_frames()[main_thread]))
            verdict = replace(judge_stop(reason), details=f"The task hung:\n{stack}")
            try:
                self._end_trial(claim, verdict)
            finally:
                logging.shutdown()
                exit_with_children(HUNG_EXIT_CODE)

        self._has_ended = False
        main_thread = threading.get_ident()
        on_hang = end_process if self._spec.own_process else None
        return Guard(self.ledger, claim, self._interrupt, self._spec.foreign_launcher, on_hang)

    def _trial_info(self, claim: Claim) -> TrialInfo:
        """Return what is known of the trial before it is sampled."""
        return TrialInfo(
            study=self._spec.name,
            number=claim.number,
            attempt=claim.attempt,
            folder=self._spec.folder / str(claim.number),
            params={},
            parent_id=self._spec.parent_id,
        )


def _check_not_typed(suggested: Iterable[str], fixed: Mapping[str, str]) -> None:
    """Check that `hydra.sweeper.custom_search_space` suggests no key that has one value.

    Raises:
        EveryTrialError: it does.
    """
    typed = {key.lstrip("+"): line for key, line in fixed.items()}
    for key in suggested:
        if line := typed.get(key.lstrip("+")):
            raise EveryTrialError(
                f"hydra.sweeper.custom_search_space suggests {key}, which {line} sets; leave out "
                f"{shell_word(line)}, or do not suggest it"
            )


def _numbers(config: DictConfig, keys: Sequence[str]) -> dict[str, float]:
    """Return the numbers among the values of these config keys."""
    values = {key: OmegaConf.select(config, key) for key in keys}
    return {k: v for k, v in values.items() if isinstance(v, int | float)}
