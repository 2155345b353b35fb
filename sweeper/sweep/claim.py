"""What a worker knows of a trial that it may run."""

from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweeper.sweep.lease import Lease


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run."""

    trial_id: int
    number: int
    lease: Lease

    @property
    def attempt(self) -> int:
        """Number of earlier attempts at this trial; 0 for the first attempt."""
        return self.lease.cuts

    def holds(self, trial: FrozenTrial) -> bool:
        """Return whether its trial, as the storage has it now, still runs under this lease."""
        lease = Lease.read(trial.system_attrs)
        running = trial.state == TrialState.RUNNING
        return running and lease is not None and lease.token == self.lease.token
