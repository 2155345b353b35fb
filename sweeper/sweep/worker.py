"""A worker: claim a trial, run it, and claim the next until the budget is spent."""

from dataclasses import dataclass

import optuna
from hydra.core.utils import configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.cli.interrupts import Interrupt
from sweeper.sweep.session import Session
from sweeper.sweep.spec import StudySpec


@dataclass(frozen=True)
class WorkerReport:
    """What a worker did, for its sweeper."""

    n_trials: int
    interrupted: bool


@dataclass(frozen=True)
class Worker:
    """The task that the sweeper hands to a launcher instead of the user's own.

    It pickles, so any launcher can carry it; `master` is Hydra's config of the whole sweep.
    """

    spec: StudySpec
    task: TaskFunction
    context: HydraContext
    master: DictConfig
    pulls = True  # A launcher may start it again after a death: it takes up what was left.

    def __call__(self, _: DictConfig) -> WorkerReport:
        """Run trials until the budget is spent or the user interrupts."""
        setup_globals()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        n_trials = 0
        with Interrupt() as interrupt:
            session = Session(self.spec, self.task, self.context, self.master, interrupt)
            while not interrupt.requested and (claim := session.ledger.claim()) is not None:
                try:
                    session.run(claim)
                except KeyboardInterrupt:  # the task saved and ended; its trial is put back
                    interrupt.requested = True
                n_trials += 1
        # Each trial's run left Python's logging pointed at that trial's folder.
        configure_log(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        return WorkerReport(n_trials, interrupt.requested)
