"""The points that the trials of a study have taken, so that no two trials run the same one."""

from collections.abc import Iterator, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import FINISHED, failures, is_own
from sweeper.sweep.claim import Claim
from sweeper.sweep.draft import Draft
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.point_index import PointIndex


class TakenPoints:
    """The points that the trials of a ledger run, have run, or wait to run."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._index = ledger, PointIndex()

    def settle(self, claim: Claim, draft: Draft, again: bool) -> FrozenTrial | None:
        """Write the parameters that were drawn for a trial, unless another trial has the same ones.

        Return that other trial, or None. If `again` is False, the parameters are written although
        there is one.
        """
        with self._ledger.locked():
            original = next(self._same_point(claim, draft.params), None)
            if original is None or not again:
                draft.write()
            if original is not None:
                return original
            # Workers that do not share the folder may have written the same point just now. Of two
            # running trials, the one with the lower number keeps it.
            ended_or_first = (
                t
                for t in self._same_point(claim, draft.params)
                if t.state in FINISHED or t.number < claim.number
            )
            return next(ended_or_first, None)

    def _same_point(self, claim: Claim, params: Mapping[str, Any]) -> Iterator[FrozenTrial]:
        """Yield the trials with these parameters that run, have run, or wait to be run again."""
        same = self._index.with_params(self._ledger.trials(), params)
        failed = {t.number for t in failures(same, self._ledger.budget.failed_before)}
        for trial in same:
            is_to_be_repeated = trial.state == TrialState.FAIL and trial.number not in failed
            if trial._trial_id != claim.trial_id and is_own(trial) and not is_to_be_repeated:
                yield trial
