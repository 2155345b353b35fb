"""A worker, which claims and runs trials until the budget is spent."""

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
    """Result of a worker, which its launcher returns to the parent process."""

    n_trials: int
    interrupted: bool


@dataclass(frozen=True)
class Worker:
    """Task that is given to a Hydra launcher in place of the user's `task`.

    It can be pickled, so any launcher can run it. `master` is Hydra's config of the whole sweep.
    """

    spec: StudySpec
    task: TaskFunction
    context: HydraContext
    master: DictConfig
    # A launcher may run it again after its process died: it then resumes the abandoned trial.
    restartable = True

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
                except KeyboardInterrupt:  # the task has ended, and its trial was put back
                    interrupt.requested = True
                n_trials += 1
        # Each trial directs Python's logging to its own folder.
        configure_log(self.master.hydra.hydra_logging, self.master.hydra.verbose)
        return WorkerReport(n_trials, interrupt.requested)
