"""The numbers of a study's trials, by what became of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.budget import is_shown
from sweeper.sweep.curve import is_paused


@dataclass(frozen=True)
class Counts:
    """The number of a study's own trials, by what became of them.

    Trials of other studies, and those that were ended without a run, are left out.
    """

    complete: int
    pruned: int
    paused: int
    failed: int
    running: int

    @staticmethod
    def of(trials: Iterable[FrozenTrial], pauses: bool = True) -> "Counts":
        """Return the counts of these trials.

        pauses: True if the command pauses trials. Otherwise it runs those that an earlier command
            has paused, so they are not counted.
        """
        own = [t for t in trials if is_shown(t)]
        states = [t.state for t in own]
        names = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
        complete, pruned, failed, running = map(states.count, names)
        paused = sum(map(is_paused, own)) if pauses else 0
        return Counts(complete, pruned, paused, failed, running)

    @property
    def done(self) -> int:
        """Number of trials that count towards the budget: complete, pruned and paused ones."""
        return self.complete + self.pruned + self.paused
