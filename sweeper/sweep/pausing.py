"""A running trial at the rungs of its study: how far it is, and whether it is paused there."""

from collections.abc import Sequence
from dataclasses import replace

from optuna.trial import FrozenTrial

from sweeper.sweep.budget import is_own
from sweeper.sweep.claim import Claim
from sweeper.sweep.curve import Place, curve_of
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.promotion import Halving, Rungs


class Pausing:
    """The decisions on a trial that this worker runs.

    Without the rule of promotion there is no rung, and no trial is paused.
    """

    def __init__(self, ledger: Ledger, claim: Claim) -> None:
        self._ledger, self._claim, self._rule = ledger, claim, ledger.budget.promotion
        self._length: float | None = None  # of the study's trials, in epochs, once it is known

    def next_rung(self, epochs: float, length: float | None) -> float | None:
        """Return the position of the next rung, or None.

        `length` is the number of epochs of the trial, if it is known.
        """
        rungs = self._rungs(length)
        return None if rungs is None else rungs.next_after(epochs)

    def note_length(self, length: float) -> None:
        """Record the number of epochs of the trial, which a later attempt may raise."""
        place = Place.of(self._ledger.stored(self._claim))
        if self._rule is not None and place.length != length:
            self._ledger.write_place(self._claim.trial_id, replace(place, length=length))
            self._length = None

    def pauses(self) -> bool:
        """Return whether the trial is paused after it has reported a value.

        A trial that goes on at a rung is promoted from it.
        """
        rungs, stored = self._rungs(), self._ledger.stored(self._claim)
        if rungs is None:
            return False
        curve, length = curve_of(stored), Place.of(stored).length
        if not curve or (length is not None and curve[-1][0] >= length):
            return False  # its end is not worth a pause
        n_reached = rungs.n_reached(curve[-1][0])
        is_due = n_reached > rungs.n_reached(Place.of(stored).decided_at)
        if not is_due and self._ledger.budget.deadline is None:
            return False
        with self._ledger.locked():
            trials = self._ledger.trials()
            trial = next(t for t in trials if t._trial_id == self._claim.trial_id)
            if not self._goes_on(trial, trials, is_due):
                return True
            if is_due:
                place = replace(Place.of(trial), decided_at=curve[-1][0], is_paused=False)
                self._ledger.write_place(self._claim.trial_id, place)
            return False

    def _goes_on(self, trial: FrozenTrial, trials: Sequence[FrozenTrial], is_due: bool) -> bool:
        """Return whether the trial goes on; `is_due` is True if it has reached its rung."""
        assert self._rule is not None
        budget = self._ledger.budget
        urgent = self._ledger.urgent(trials)
        if urgent is not None and urgent.number == trial.number:
            return True
        if urgent is not None and self._ledger.may_be_taken_up(urgent, trials):
            return False
        halving = Halving(self._rule, filter(is_own, trials))
        return not is_due or halving.goes_on(trial, budget.has_room(trials))

    def _rungs(self, length: float | None = None) -> Rungs | None:
        rule = self._rule
        if rule is None:
            return None
        if rule.length is not None:
            return rule.rungs(rule.length)
        if self._length is None:
            self._length = rule.length_in(filter(is_own, self._ledger.trials()))
        return rule.rungs(self._length or length)
