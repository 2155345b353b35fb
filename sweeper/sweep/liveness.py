"""Which running trials have a living worker, and how often the worker of a trial died."""

from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.curve import progress_of
from sweeper.sweep.lease import Lease, LeaseJudge, Standing


class Liveness:
    """The standing of the trials of one study.

    `lock` is the file that a process holds locked while it claims a trial. `judge` tells the
    standing of a lease.
    """

    def __init__(self, lock: Path, study_name: str, judge: LeaseJudge) -> None:
        self._lock, self._study_name, self._judge = lock, study_name, judge

    def is_abandoned(self, trial: FrozenTrial) -> bool:
        """Return whether a trial counts as running, although its worker is dead."""
        return trial.state == TrialState.RUNNING and self._standing(trial) == Standing.LAPSED

    def uncertain(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the running trials of which it is not known yet whether their workers live."""
        running = (t for t in trials if t.state == TrialState.RUNNING)
        return [t for t in running if self._standing(t) == Standing.UNKNOWN]

    def deaths(self, trial: FrozenTrial) -> int:
        """Return how often the worker of a trial died since the trial last made progress.

        A worker that is dead now counts. A trial with a living worker has 0.
        """
        lease = Lease.read(trial.system_attrs)
        if trial.state == TrialState.WAITING:
            return 0 if lease is None else lease.deaths
        if not self.is_abandoned(trial):
            return 0
        if lease is None or progress_of(trial) > lease.progress:
            return 1
        return lease.deaths + 1

    def mark(self, trial: FrozenTrial) -> None:
        """Note that a trial is about to be set running, until `unmark` is called.

        If this process dies in between, or has no answer from the storage, the next one that holds
        the lock knows that nobody runs it, as long as the trial has the same lease.
        """
        self._lock.write_text(self._mark(trial))

    def unmark(self) -> None:
        """Forget the trial that was marked: its lease is written, or another worker has it."""
        self._lock.write_text("")

    def _standing(self, trial: FrozenTrial) -> Standing:
        if self._lock.read_text() == self._mark(trial):
            return Standing.LAPSED
        return self._judge.standing(trial._trial_id, Lease.read(trial.system_attrs))

    def _mark(self, trial: FrozenTrial) -> str:
        """Return what identifies a trial and its lease in the lock file.

        Two studies may share the file, and a worker that does not may claim the trial.
        """
        lease = Lease.read(trial.system_attrs)
        return f"{self._study_name} {trial._trial_id} {'' if lease is None else lease.token}"
