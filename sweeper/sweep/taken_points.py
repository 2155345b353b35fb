"""The points that the trials of a study have taken, so that no two trials run the same one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import FINISHED, is_own
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

    def among(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return those of these trials whose points no other trial may have.

        They run, have run, or wait to be run. What failed under an earlier command has no point.
        """
        failed = {t.number for t in self._ledger.budget.failed(trials)}
        return [
            t for t in trials if is_own(t) and (t.state != TrialState.FAIL or t.number in failed)
        ]

    def _same_point(self, claim: Claim, params: Mapping[str, Any]) -> Iterator[FrozenTrial]:
        """Yield the other trials that have taken the point with these parameters."""
        same = self._index.with_params(self._ledger.trials(), params)
        yield from (t for t in self.among(same) if t._trial_id != claim.trial_id)
