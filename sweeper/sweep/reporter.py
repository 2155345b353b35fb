"""A running trial's line to its study: values out, the order to stop in."""

import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from sweeper.cli.interrupts import Interrupt
from sweeper.sweep.lease import Renewer
from sweeper.sweep.ledger import Claim, Ledger
from sweeper.trial import TrialInfo


class StudyReporter:
    """The `trial.Reporter` of one attempt at one trial.

    With several objectives nothing is pruned, since Optuna judges by a single value.
    """

    def __init__(
        self,
        info: TrialInfo,
        trial: optuna.Trial,
        claim: Claim,
        ledger: Ledger,
        renewer: Renewer,
        interrupt: Interrupt,
        deadline: float | None,
        constraints: Mapping[str, float],
    ) -> None:
        self.info = info
        self._trial, self._claim, self._ledger = trial, claim, ledger
        self._renewer, self._interrupt, self._deadline = renewer, interrupt, deadline
        self._constraints, self._violated = dict(constraints), False
        self._reason: str | None = None
        self._reported_since_asked = False

    def report(self, value: float, step: int) -> None:
        """Record the value, unless another worker has taken the trial over."""
        if self._lost():
            return
        try:
            if len(self._trial.study.directions) == 1:
                self._trial.report(float(value), step)
                self._reported_since_asked = True
        except UpdateFinishedTrialError:
            self._reason = "lost"

    def should_stop(self) -> bool:
        """Tell whether to stop; the first reason stays."""
        if self._reason is None:
            self._reason = self._why()
        return self._reason is not None

    def stop_reason(self) -> str | None:
        """Return why the task was told to stop, or None if it was not."""
        return self._reason

    def note(self, key: str, value: Any) -> None:
        """Keep a JSON value on the trial's record; a bound on it is a constraint of Optuna's."""
        if self._lost():
            return
        self._trial.set_user_attr(key, value)
        bound = self._constraints.pop(key, None)
        if bound is not None:
            self._trial.set_constraint(key, float(value) - bound)
            self._violated = self._violated or value > bound

    def _why(self) -> str | None:
        if self._lost():
            return "lost"
        if self._interrupt.requested:
            return "interrupted"
        if self._deadline is not None and time.time() >= self._deadline:
            return "timeout"
        if self._violated:
            return "infeasible"
        return "pruned" if self._pruned() else None

    def _pruned(self) -> bool:
        """Ask the pruner once a report; it would say the same again."""
        if not self._reported_since_asked:
            return False
        self._reported_since_asked = False
        return self._trial.should_prune()

    def _lost(self) -> bool:
        if self._reason != "lost" and (self._renewer.lost or not self._ledger.owns(self._claim)):
            self._reason = "lost"
        return self._reason == "lost"
