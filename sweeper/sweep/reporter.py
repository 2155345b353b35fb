"""The connection between a running task and its Optuna trial."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from sweeper.sweep.budget import DEVIATION_KEY, DUPLICATE_KEY, FAILURE_KEY, REPEATS_KEY
from sweeper.sweep.claim import Claim
from sweeper.sweep.guard import Guard
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.pausing import Pausing
from sweeper.sweep.verdict import EveryTrialError
from sweeper.trial import TrialInfo

OWN_KEYS, OWN_PREFIX = (FAILURE_KEY, DUPLICATE_KEY, REPEATS_KEY, DEVIATION_KEY), "sweeper:"
"""The user attributes that are the study's own."""

STEPS_PER_REPEAT = 10**9  # more than a run has, so that the steps of a trial's runs grow


class StudyReporter:
    """The `trial.Reporter` of one attempt at one trial.

    A trial with several objectives is not pruned, because Optuna's pruners compare single values.
    """

    def __init__(
        self,
        info: TrialInfo,
        trial: optuna.Trial,
        claim: Claim,
        ledger: Ledger,
        guard: Guard,
        constraints: Mapping[str, float],
    ) -> None:
        self.info = info
        self._trial, self._claim, self._ledger = trial, claim, ledger
        self._guard = guard
        self._constraints, self._infeasible = dict(constraints), False
        self._stop_reason: str | None = None
        self._has_new_report = False
        self._repeat = 0
        self._pausing, self._has_told_length = Pausing(ledger, claim), False

    def start_repeat(self, info: TrialInfo, number: int) -> None:
        """Begin the run with seed `number`, from 0, of a trial that has several seeds.

        Only the first run's reports are written to the trial, because pruners compare single runs.
        """
        self.info, self._repeat = info, number

    def report(self, value: float, step: float, length: float | None = None) -> None:
        """Write the value to the trial, unless another worker has taken the trial over.

        Raises:
            ValueError: `step` or `length` is not finite, or `length` is not above 0.
        """
        for name, number in (("step", step), ("length", 1 if length is None else length)):
            if not math.isfinite(number) or (name == "length" and number <= 0):
                raise ValueError(f"sweeper.trial.report: {name} must be a number, but is {number}")
        if self._is_lost():
            return
        try:
            if self._repeat:
                self._ledger.note_step(self._claim, self._repeat * STEPS_PER_REPEAT + int(step))
            elif len(self._trial.study.directions) == 1:
                if length is not None:
                    self._note_length(float(length))
                self._report_first(float(value), step)
                self._has_new_report = True
            else:
                self._ledger.note_step(self._claim, int(step))
        except UpdateFinishedTrialError:
            self._stop_reason = "lost"

    def next_rung(self, epochs: float, length: float | None = None) -> float | None:
        """Return the next position at which the study decides on the trial, or None."""
        is_compared = not self._repeat and len(self._trial.study.directions) == 1
        if not is_compared or not self._can_pause():
            return None
        return self._pausing.next_rung(epochs, length)

    def should_stop(self) -> bool:
        """Return whether the task should stop; once True, it stays True."""
        if self._stop_reason is None:
            self._stop_reason = self._find_stop_reason()
        return self._stop_reason is not None

    def must_stop_now(self) -> bool:
        """Return whether the task should stop in the middle of an epoch; it reads no storage."""
        if self._stop_reason is None:
            self._stop_reason = self._guard.reason
        return self._guard.reason is not None

    def stop_reason(self) -> str | None:
        """Return why the task should stop, or None if it should not."""
        return self._stop_reason

    def note(self, key: str, value: Any) -> None:
        """Write a JSON value to the trial; if it has an upper bound, check the constraint.

        Raises:
            EveryTrialError: the study itself keeps something under this key.
        """
        if key in OWN_KEYS or key.startswith(OWN_PREFIX):
            raise EveryTrialError(
                f"sweeper.trial.note: the study itself uses {key!r}; choose another key"
            )
        if self._is_lost():
            return
        self._trial.set_user_attr(key, value)
        bound = self._constraints.get(key)
        if bound is not None:
            with warnings.catch_warnings():
                # Another note, maybe of an earlier attempt, may have set it.
                warnings.filterwarnings("ignore", message="The constraint value is ignored")
                self._trial.set_constraint(key, float(value) - bound)
            self._infeasible = self._infeasible or value > bound

    def _find_stop_reason(self) -> str | None:
        if self._is_lost():
            return "lost"
        if self._guard.reason is not None:
            return self._guard.reason
        if self._infeasible:
            return "infeasible"
        return self._decision()

    def _decision(self) -> str | None:
        """Ask the pruner, but only once after each report: its answer would be the same."""
        if not self._has_new_report:
            return None
        self._has_new_report = False
        if self._can_pause():
            return "paused" if self._pausing.pauses() else None
        return "pruned" if self._trial.should_prune() else None

    def _can_pause(self) -> bool:
        """Return whether the study pauses trials, and the task can go on with this one later."""
        promotion = self._ledger.budget.promotion
        if promotion is None or promotion.pauses is not None:
            return promotion is not None and bool(promotion.pauses)
        return self.info.asks_where_to_resume

    def _note_length(self, length: float) -> None:
        if not self._has_told_length:
            self._has_told_length = True
            self._pausing.note_length(length)

    def _report_first(self, value: float, step: float) -> None:
        """Write a value of the trial's first run, which is the one that is compared."""
        if step % 1:
            whole = self._trial.storage.get_trial(self._claim.trial_id).intermediate_values
            n_before = sum(each < step for each in whole)
            position = n_before + step % 1 if n_before else step
            self._ledger.note_look(self._claim, position, value)
            return
        with warnings.catch_warnings():
            # An attempt that died may have reported this step just before.
            warnings.filterwarnings("ignore", message="The reported value is ignored")
            self._trial.report(value, int(step))

    def _is_lost(self) -> bool:
        if self._stop_reason != "lost" and (
            self._guard.reason == "lost" or not self._ledger.owns(self._claim)
        ):
            self._stop_reason = "lost"
        return self._stop_reason == "lost"
