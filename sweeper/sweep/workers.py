"""The workers of a study: launched, waited for, and launched again until the study ends."""

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from optuna.trial import TrialState

from sweeper.cli.interrupts import Interrupt, Interrupted
from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.errors import OutageError, SweeperError, TrainingError
from sweeper.launch.resources import n_workers
from sweeper.secrets import without_password
from sweeper.sweep.budget import DONE
from sweeper.sweep.curve import progress_of
from sweeper.sweep.guard import GRACE_SECONDS
from sweeper.sweep.lease import Lease
from sweeper.sweep.ledger import WAIT_SECONDS, waiting_line
from sweeper.sweep.plan import StudyPlan
from sweeper.sweep.storage import open_storage
from sweeper.sweep.work import Work, work_of
from sweeper.sweep.worker_lines import naming_workers
from sweeper.sweep.worker_task import Worker
from sweeper.text import in_one_line, shortened

log = logging.getLogger(__name__)
LEAVE_SECONDS = 4.0
PUT_BACK_SECONDS = GRACE_SECONDS["timeout"] + 10.0
"""How long the worker of another process may take to put back its trial at the time limit."""

QUEUE_SECONDS = 10.0
"""How long a launcher may take to return after its workers have put back their trials."""


class LauncherError(TrainingError):
    """A launcher of another package failed, maybe because one of its workers died."""


@dataclass(frozen=True)
class Workers:
    """The workers of a study, launched as often as needed until the study ends."""

    plan: StudyPlan
    worker: Worker
    work: Sequence[Work]

    def run(self) -> KeyboardInterrupt | None:
        """Run the workers; return the interrupt if a signal ended them.

        A launcher may return, or raise, although a worker died and left its trial behind. The
        workers are then launched again, as long as there is work and the last launch made progress.
        The error of a worker matters only if the others could not finish the study.

        Raises:
            TrainingError: trials are left, and none made progress, because the launcher failed, its
                workers ended early, or the database was away.
            Exception: trials are left; it is the error of a worker.
        """
        # A system that sends SIGTERM will not wait, so the launcher is then left behind.
        hurry = threading.Timer(LEAVE_SECONDS, os.kill, [os.getpid(), signal.SIGINT])
        hurry.daemon = True
        has_left = threading.Event()

        def end_foreign_workers() -> None:
            if self.plan.spec.foreign_launcher:
                self._end_foreign_workers(has_left)
                if interrupt.number != signal.SIGINT:
                    hurry.start()

        with Interrupt(end_foreign_workers) as interrupt:
            try:
                self._launch_until_done(interrupt)
            except KeyboardInterrupt as error:
                interrupt.request(getattr(error, "number", None))
            except SystemExit:  # Ray replaces the handler of SIGTERM by one that exits
                if not self.plan.spec.foreign_launcher:
                    raise
                interrupt.request(signal.SIGTERM)
                self._end_command()
                self._wait_for_own_trials()
            finally:
                hurry.cancel()
                has_left.set()
        if not interrupt.requested:
            return None
        for work in self.work:
            work.ledger.release_command()  # or the look for work would count deaths
            work.has_work()  # records a job that has ended although it was to stop
        return Interrupted(interrupt.number)

    def _launch_until_done(self, interrupt: Interrupt) -> None:
        before = self._progress()
        if not before.has_work and not before.is_any_running:
            return
        if self.plan.spec.own_process:  # otherwise the worker itself says it
            self._say_uncertain()
        while not interrupt.requested:
            failure = self._launch(self._n_workers(), interrupt)
            if failure is not None and not self.plan.spec.own_process and self._running():
                raise failure  # nobody takes over the trial of a process that lives
            self._check_goes_on(failure, before, interrupt)
            if failure is not None:
                what = "" if isinstance(failure, LauncherError) else "A worker ended early: "
                log.warning("%s%s", what, _in_words(failure))
            self._wait_for_others(interrupt)
            self._check_goes_on(failure, before, interrupt)
            if interrupt.requested:
                return
            before = self._progress()
            if not before.has_work:
                return

    def _check_goes_on(
        self, failure: Exception | None, before: "_Progress", interrupt: Interrupt
    ) -> None:
        """Check that another launch may do the work that is left, if there is any.

        `failure` is the error of the last launch, and `before` the progress before it.

        Raises:
            Exception: it would not, as `run` says.
        """
        if interrupt.requested:
            return
        after = self._progress()
        if not after.has_work:
            return
        if failure is None or isinstance(failure, LauncherError):
            goes_on = after != before  # a trial that kills its worker again and again fails at last
        else:
            goes_on = isinstance(failure, OutageError) and after.results != before.results
        if not goes_on:
            raise failure or TrainingError(
                "the workers ended although trials are left; the same command resumes the study"
            )

    def _wait_for_others(self, interrupt: Interrupt) -> None:
        """Wait until no trial runs, also elsewhere, or until there is work for a worker.

        A worker that has joined the study leaves its results to this command.
        """
        has_told = self.plan.settings.join
        while not interrupt.requested and not self._has_work():
            running = self._running()
            leaves = self.plan.settings.join and not self._is_uncertain()
            if not running or leaves:
                return
            if not has_told:
                log.info("Waiting for %s, which another process runs", ", ".join(running))
                has_told = True
            time.sleep(WAIT_SECONDS)

    def _has_work(self) -> bool:
        return any(work.has_work() for work in self.work)

    def _say_uncertain(self) -> None:
        """Say for which trials the workers will wait, since nobody reads the workers' own log."""
        for work in self.work:
            trials, budget = work.trials(), work.ledger.budget
            if budget.is_spent(trials, time.time()):
                continue
            if uncertain := work.ledger.uncertain(trials):
                names = [*map(work.text, uncertain)]
                log.info("%s", waiting_line(names, uncertain, budget.lease_seconds))

    def _is_uncertain(self) -> bool:
        return any(work.ledger.uncertain(work.trials()) for work in self.work)

    def _running(self) -> list[str]:
        """Return the trials and jobs that run, in words, unless the command has given them up.

        Their workers may share its time limit. These have some time to put back their trials.
        """
        now, running = time.time() - PUT_BACK_SECONDS, []
        for work in self.work:
            trials = work.trials()
            if not work.ledger.budget.gives_up(trials, now):
                running += [work.text(t) for t in trials if t.state == TrialState.RUNNING]
        return running

    def _progress(self) -> "_Progress":
        has_work = self._has_work()  # first, since it puts back abandoned trials
        trials = [t for work in self.work for t in work.trials()]
        claims = [(t.state, Lease.read(t.system_attrs)) for t in trials]
        n_done = sum(t.state in DONE for t in trials)
        return _Progress(claims, (sum(map(progress_of, trials)), n_done), has_work)

    def _launch(self, n: int, interrupt: Interrupt) -> Exception | None:
        """Run `n` workers to their end; return the error of the launcher or of a worker."""
        # No callbacks, because those of the user are meant for trials, not for workers.
        context = replace(self.worker.context, callbacks=Callbacks())
        foreign = self.plan.spec.foreign_launcher
        task = self.worker.elsewhere() if foreign else self.worker
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task, config=self.worker.master
        )
        # Under `uv run`, Ray would start its workers in another environment, without this package.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            with naming_workers(self.plan.spec.name):
                returns = launcher.launch([self.worker.job_overrides()] * n, initial_job_idx=0)
        except Exception as error:
            if not foreign or WANTS_TRACEBACK:
                raise
            name = self.worker.master.hydra.runtime.choices["hydra/launcher"]
            return LauncherError(f"hydra/launcher={name} failed: {_in_words(error)}")
        if interrupt.requested:
            return None
        errors = [each._return_value for each in returns if each.status == JobStatus.FAILED]
        # Any other error ends the command.
        return min(errors, key=lambda error: isinstance(error, OutageError), default=None)

    def _end_foreign_workers(self, has_left: threading.Event) -> None:
        """Ask the workers, through the storage, to put back their trials and leave."""
        log.warning("Interrupted: waiting for the running trials to stop; again to end at once")
        # Not in the signal handler, which may have interrupted the use of a lock.
        threading.Thread(target=self._leave_launcher, args=(has_left,), daemon=True).start()

    def _leave_launcher(self, has_left: threading.Event) -> None:
        """Ask the workers to leave, and leave the launcher behind if it waits for more than that.

        It waits for each job, also for one in a queue, which ends as soon as it starts.

        has_left: set once the launcher has returned.
        """
        works = self._end_command()
        while any(work.ledger.runs_trials_of_command() for work in works):
            if has_left.wait(WAIT_SECONDS):
                return
        if not has_left.wait(QUEUE_SECONDS):
            os.kill(os.getpid(), signal.SIGINT)

    def _end_command(self) -> Sequence[Work]:
        """Ask the workers to leave; return their work, read through a storage of its own."""
        spec = self.plan.spec
        works = work_of(spec, open_storage(spec.storage, spec.folder, waits=True))
        for work in works:
            work.ledger.end_command()
        return works

    def _wait_for_own_trials(self) -> None:
        """Wait until this command's workers have put back their trials, for a limited time."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < deadline and any(
            work.ledger.runs_trials_of_command() for work in self.work
        ):
            time.sleep(0.1)

    def _n_workers(self) -> int:
        if not self.plan.spec.own_process:
            return 1
        most = max(work.size() for work in self.work)
        return int(min(n_workers(self.plan.settings.n_jobs), most))


@dataclass(frozen=True)
class _Progress:
    """How far the trials of a study are.

    Args:
        claims: What changes when a worker claims a trial or ends it.
        results: Number of steps that they have reported, and of those that are done.
        has_work: True if a worker could claim one. Workers that had none may have it later, when a
            worker of another process dies.
    """

    claims: Sequence[tuple[TrialState, Lease | None]]
    results: tuple[int, int]
    has_work: bool

    @property
    def is_any_running(self) -> bool:
        """True if a trial runs."""
        return any(state == TrialState.RUNNING for state, _ in self.claims)


def _in_words(error: Exception) -> str:
    """Return an error in one line, with its type unless its message is a complete sentence."""
    kind = "" if isinstance(error, SweeperError) else f"{type(error).__name__}: "
    return shortened(f"{kind}{without_password(in_one_line(error))}", 300)
