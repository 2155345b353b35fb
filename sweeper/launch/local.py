"""A pool of local worker processes, which runs Hydra jobs and replaces processes that die."""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

import cloudpickle  # type: ignore[import-untyped]
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, filter_overrides
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.cli.interrupts import SIGNALS, Interrupt, Interrupted
from sweeper.errors import TrainingError
from sweeper.launch.process import READY, failed_job
from sweeper.launch.resources import n_workers, worker_environment
from sweeper.launch.script import definitions, pickled_task
from sweeper.launch.slot import Job, Slot, start_slot
from sweeper.text import in_one_line, plural

log = logging.getLogger(__name__)
# A process that died before it had imported the task is likely to die again.
MAX_EARLY_DEATHS = 3
POLL_SECONDS = 0.5
# `docker stop` kills after ten seconds. Jobs get four of them, so that the command can conclude.
ASK_AGAIN_SECONDS, KILL_SECONDS = 2.5, 4.0
# A launcher that warns of a time limit does so two minutes before, if nobody asks for less.
WARNED_FACTOR = 6


@dataclass
class LocalPool:
    """Pool of local processes that run Hydra jobs.

    `context`, `config` and `task` are the arguments of `Launcher.setup`. `divides_machine` gives
    each process its share of threads and GPUs. Each of `signals` asks the jobs to stop.
    """

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    n_jobs: int | str = "auto"
    trials_per_gpu: int = 1
    divides_machine: bool = True
    signals: Sequence[int] = SIGNALS
    _slots: list[Slot] = field(default_factory=list)
    _interrupt: Interrupt = field(default_factory=Interrupt)
    # Times, in monotonic seconds, at which the jobs are asked again and then killed.
    _escalation: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def run(self, jobs: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        """Run every job and return their results in order.

        A process that dies is replaced. Its job is run again if the task is `restartable`, and
        fails otherwise. The first signal asks the jobs to stop, and the second one kills them.
        After SIGTERM or SIGHUP the jobs are killed after `KILL_SECONDS`, since the system will not
        wait. After a launcher's warning they have `WARNED_FACTOR` times as long.

        Raises:
            ConfigError: the task cannot be sent to a process.
            TrainingError: processes die before they have imported the task.
        """
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        queue = deque(Job(first_number + i, list(o)) for i, o in enumerate(jobs))
        self._log_jobs(queue)
        self._interrupt = Interrupt(self._interrupt_jobs, self._kill, self.signals)
        with self._interrupt:
            try:
                results = self._serve(queue)
            finally:
                self._close_slots()
        return [results[number] for number in sorted(results)]

    def _log_jobs(self, jobs: Sequence[Job]) -> None:
        if self._is_restartable():
            if self.divides_machine:
                log.info("Starting %s", plural(len(jobs), "worker"))
            return
        for job in jobs:
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))

    def _serve(self, queue: deque[Job]) -> dict[int, JobReturn]:
        results: dict[int, JobReturn] = {}
        n_results, payload = len(queue), self._payload()
        n = len(queue) if self._is_restartable() else self._n_processes(len(queue))
        shares = [worker_environment(i, n) if self.divides_machine else {} for i in range(n)]
        for share in shares:
            if not self._interrupt.requested:
                self._slots.append(start_slot(share, payload))
        while len(results) < n_results:
            slots = {s.connection: s for s in self._slots if not s.connection.closed}
            self._escalate()
            if self._interrupt.requested:
                results |= {job.number: failed_job(Interrupted()) for job in queue}
                queue.clear()
            ready = wait(list(slots), POLL_SECONDS)
            for slot in () if ready else self._silently_dead():
                self._replace(slot, queue, results, payload)
            for connection in ready:
                slot = slots[connection]  # type: ignore[index]
                try:
                    self._receive(slot, queue, results)
                except (EOFError, ConnectionError):
                    self._replace(slot, queue, results, payload)
        return results

    def _n_processes(self, n_jobs: int) -> int:
        return min(n_jobs, n_workers(self.n_jobs, self.trials_per_gpu))

    def _receive(self, slot: Slot, queue: deque[Job], results: dict[int, JobReturn]) -> None:
        if not slot.ready:
            slot.ready = slot.connection.recv() == READY
            slot.early_deaths = 0
        else:
            result = _unpickled(slot.connection.recv_bytes())
            if slot.job is not None and self._should_repeat(result):
                raise EOFError  # somebody asked this process alone to end
            if slot.job is not None:
                results[slot.job.number] = result
                slot.job = None
        if queue:
            slot.job = queue.popleft()
            slot.connection.send((slot.job.overrides, slot.job.number))
        else:  # the process ends now, while others still work
            slot.connection.close()

    def _silently_dead(self) -> list[Slot]:
        """Return the slots whose process is dead, but not its connection: a child has a copy."""
        slots = [s for s in self._slots if not s.connection.closed and s.process.has_ended()]
        return [slot for slot in slots if not slot.connection.poll()]

    def _should_repeat(self, result: JobReturn) -> bool:
        """Return whether a job ended because its process was asked to end, but not by this pool."""
        was_asked = bool(getattr(result._return_value, "interrupted", False))
        return was_asked and self._is_restartable() and not self._interrupt.requested

    def _replace(
        self, slot: Slot, queue: deque[Job], results: dict[int, JobReturn], payload: bytes
    ) -> None:
        slot.close()
        cause = slot.exit_cause()
        self._slots.remove(slot)
        if not slot.ready and slot.early_deaths + 1 >= MAX_EARLY_DEATHS:
            self._ask_jobs_to_stop()
            raise TrainingError(f"worker processes {cause} before they could import the task")
        if slot.job is not None and self._is_restartable() and not self._interrupt.requested:
            log.warning("A worker process %s; starting another one", cause)
            queue.appendleft(slot.job)
        elif slot.job is not None:
            results[slot.job.number] = failed_job(ChildProcessError(f"the job's process {cause}"))
        if queue:
            successor = start_slot(slot.environment, payload)
            successor.early_deaths = 0 if slot.ready else slot.early_deaths + 1
            self._slots.append(successor)

    def _interrupt_jobs(self) -> None:
        if self._interrupt.number == signal.SIGINT:
            log.warning(
                "Interrupted: waiting for the running jobs to stop; press Ctrl-C again to kill them"
            )
        else:
            name = signal.Signals(self._interrupt.number or signal.SIGTERM).name
            log.warning("%s: saving the running jobs", name)
            now = time.monotonic()
            factor = 1 if self._interrupt.number in SIGNALS else WARNED_FACTOR
            self._escalation = [
                (now + factor * ASK_AGAIN_SECONDS, self._ask_jobs_to_stop),
                (now + factor * KILL_SECONDS, self._kill),
            ]
        self._ask_jobs_to_stop()

    def _ask_jobs_to_stop(self) -> None:
        for slot in self._slots:
            if slot.job is None:
                slot.process.kill()
            else:
                slot.process.send_signal(signal.SIGINT)

    def _escalate(self) -> None:
        while self._escalation and time.monotonic() > self._escalation[0][0]:
            self._escalation.pop(0)[1]()

    def _kill(self) -> None:
        for slot in self._slots:
            slot.process.kill()

    def _close_slots(self) -> None:
        for slot in self._slots:
            if slot.job is None and self._interrupt.requested:
                slot.process.kill()
            slot.close()
        self._slots = []

    def _is_restartable(self) -> bool:
        return getattr(self.task, "restartable", False)

    def _payload(self) -> bytes:
        task = getattr(self.task, "task", self.task)  # that of a study is in its worker
        state = (Singleton.get_state(), self.context, self.config, self.task, definitions(task))
        try:
            return bytes(cloudpickle.dumps(state))
        except Exception:
            pickled_task(task)  # it may be to blame
            raise


def _unpickled(content: bytes) -> JobReturn:
    """Return the result of a job; a failed one if it cannot be read.

    An exception whose constructor takes other arguments than it passes on cannot, for example.
    """
    try:
        result: JobReturn = cloudpickle.loads(content)
    except Exception as error:
        line = f"the result of the job cannot be read: {type(error).__name__}: {in_one_line(error)}"
        return failed_job(TrainingError(line))
    return result
