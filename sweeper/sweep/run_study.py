"""The run of a study in the parent process: plan, open, launch the workers, write the results."""

import contextlib
import copy
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from sweeper.cli.interrupts import Interrupt, Interrupted, exit_code
from sweeper.cli.messages import WANTS_TRACEBACK
from sweeper.cli.next_steps import next_steps
from sweeper.cli.repeated import repeated_lines
from sweeper.cli.waiting import hide_waiting, is_waiting_shown, waiting_for
from sweeper.errors import ConfigError, SweeperError, TrainingError
from sweeper.launch.apart import can_call_apart
from sweeper.launch.resources import n_workers
from sweeper.locks import locked
from sweeper.secrets import masked_uri
from sweeper.sweep.announcement import options_text, plan_text
from sweeper.sweep.board import Board
from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.finals.agenda import prepare_finals
from sweeper.sweep.lease import Lease
from sweeper.sweep.ledger import LOCK_FILE, WAIT_SECONDS, progress_of
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.opening import announce, naming_workers
from sweeper.sweep.plan import StudyPlan, plan_study
from sweeper.sweep.points import enqueue
from sweeper.sweep.recorder import Recorder, recorded, recorder_of
from sweeper.sweep.results.best_folder import BEST_FOLDER
from sweeper.sweep.results.results import Results
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import (
    PARENT_KEY,
    PulledStudy,
    create_study,
    open_study,
    set_aside,
    set_folder_aside,
)
from sweeper.sweep.work import Work, work_of
from sweeper.sweep.worker_task import Worker
from sweeper.text import in_one_line, shortened
from sweeper.tracking.uri import resolve_uri

log = logging.getLogger(__name__)
LEAVE_SECONDS = 4.0
EVENTS_FOLDER = "tensorboard"
MULTIRUN_FILE = "multirun.yaml"
STARTED_KEY = "sweeper:started_at"


def run_study(
    keys: Mapping[str, Any],
    task: TaskFunction,
    context: HydraContext,
    config: DictConfig,
    arguments: Sequence[str],
) -> Results:
    """Run or resume the study that `keys` and `arguments` describe, and return its results.

    Args:
        keys: Values of `hydra.sweeper`.
        task: Function that trains one config.
        context: Hydra's config loader and callbacks.
        config: Hydra's config of the whole sweep.
        arguments: Overrides on the command line.

    Raises:
        ConfigError: a setting or the space cannot work. No trial has run.
        TrainingError: too many trials failed.
        SystemExit: a signal ended the command; exit code 130 for Ctrl-C, 143 for SIGTERM,
            129 for SIGHUP.
    """
    recorder = recorder_of(keys) if can_call_apart() else None
    try:
        return _run_study(keys, task, context, config, arguments, recorder)
    finally:
        if recorder is not None:
            recorder.close()


def _run_study(
    keys: Mapping[str, Any],
    task: TaskFunction,
    context: HydraContext,
    config: DictConfig,
    arguments: Sequence[str],
    recorder: Recorder | None,
) -> Results:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = options_text(config, arguments)
    if known and is_waiting_shown():  # elsewhere nobody waits for it, so it comes once it is sure
        log.info("%s", known)
        known = ""
    waiting_for("checking the search space")
    start_recorder: Callable[[], None] = recorder.start if recorder is not None else lambda: None
    plan = plan_study(keys, context.config_loader, config, arguments, start_recorder)
    start_recorder()  # nobody had to wait for a check
    waiting_for("opening the study")
    logs = config.hydra.hydra_logging, config.hydra.verbose
    observers = recorded(plan.spec.observers, recorder, plan.spec, logs)
    master = copy.deepcopy(config)
    with read_write(master.hydra), open_dict(master.hydra):
        master.hydra.sweep.dir = str(plan.spec.folder)
    storage = _prepare_storage(plan)
    study = open_study(plan.spec.name, storage, plan.spec.sampler.sampler())
    info = _study_info(plan, study, storage)
    if plan.settings.join:
        # The points of a grid that failed under the command are not run again by its workers.
        plan = _started_at(plan, study.user_attrs.get(STARTED_KEY, 0.0))
    else:
        study.set_user_attr(STARTED_KEY, plan.spec.budget.started_at)
        OmegaConf.save(master, plan.spec.folder / MULTIRUN_FILE)
        StudyCommand.current(plan.spec.name, plan.spec.storage).write(study, plan.spec.folder)
        log.info("%s", "\n".join(filter(None, [known, plan_text(plan)])))
        typed: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
        for line in repeated_lines([*arguments, *typed]):
            log.warning("%s", line)
        announce(plan, study, any(work.has_work() for work in work_of(plan.spec, storage)), config)
        waiting_for("opening the record of the study")
        info = _opened(observers, study, info)
    spec = replace(plan.spec, parent_id=info.parent_id)
    composer = plan.live.composer.with_master(master)
    workers = Workers(plan, Worker(spec, task, context, composer), work_of(spec, storage))
    hide_waiting()
    with Board(study, spec, in_terminal=spec.capture_output):
        interrupt = workers.run()
    results, page = Results.of(study, plan.spec, plan.live, plan.settings.best), None
    if not plan.settings.join:
        waiting_for("writing the results")
        results.write()
        waiting_for("recording the study and drawing its figures")
        has_ended = spec.budget.has_ended(results.trials)
        command = results.command(results.chosen) if results.chosen else ""
        info = replace(info, has_ended=has_ended, train_again=command)
        page = observers.study_finished(info)
    return _conclude(plan, results, interrupt, page)


def _started_at(plan: StudyPlan, started_at: float) -> StudyPlan:
    budget = replace(plan.spec.budget, started_at=started_at)
    return replace(plan, spec=replace(plan.spec, budget=budget))


def _opened(observers: Observers, study: PulledStudy, info: StudyInfo) -> StudyInfo:
    """Tell the observers of the study; return its description with the id that they gave it."""
    parent_id = observers.study_opened(info)
    if parent_id is not None:
        study.set_user_attr(PARENT_KEY, parent_id)
    return replace(info, parent_id=parent_id)


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

        Raises:
            TrainingError: no trial made progress, because the launcher failed or its workers ended
                early.
        """
        # A system that sends SIGTERM will not wait, so the launcher is then left behind.
        hurry = threading.Timer(LEAVE_SECONDS, os.kill, [os.getpid(), signal.SIGINT])
        hurry.daemon = True

        def end_foreign_workers() -> None:
            if self.plan.spec.foreign_launcher:
                self._end_foreign_workers()
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
        if not interrupt.requested:
            return None
        for work in self.work:
            work.has_work()  # records a job that has ended although it was to stop
            work.ledger.release_command()
        return Interrupted(interrupt.number)

    def _launch_until_done(self, interrupt: Interrupt) -> None:
        before = self._progress()
        if not self._has_work() and not any(state == TrialState.RUNNING for state, *_ in before):
            return
        while not interrupt.requested:
            failure = self._launch(self._n_workers(), interrupt)
            self._wait_for_others(interrupt)
            if interrupt.requested or not self._has_work():
                return
            after = self._progress()
            if before == after:
                raise failure or TrainingError(
                    "the workers ended although trials are left; the same command resumes the study"
                )
            before = after

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

    def _is_uncertain(self) -> bool:
        return any(work.ledger.uncertain(work.trials()) for work in self.work)

    def _running(self) -> list[str]:
        """Return the trials and jobs that run, in words, as far as they are still wanted."""
        now, running = time.time(), []
        for work in self.work:
            trials = work.trials()
            if not work.ledger.budget.is_spent(trials, now):
                running += [work.text(t) for t in trials if t.state == TrialState.RUNNING]
        return running

    def _progress(self) -> list[tuple[TrialState, int, Lease | None]]:
        """Return what changes when a worker claims a trial, reports, or ends a trial."""
        trials = (t for work in self.work for t in work.trials())
        return [(t.state, progress_of(t), Lease.read(t.system_attrs)) for t in trials]

    def _launch(self, n: int, interrupt: Interrupt) -> SweeperError | None:
        """Run `n` workers to their end; return an error if the launcher itself failed."""
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
            reason = f"{type(error).__name__}: {in_one_line(error)}"
            log.warning("The launcher %s failed (%s)", name, shortened(reason, 300))
            return TrainingError(f"hydra/launcher={name} failed: {reason}")
        if not interrupt.requested:
            for each in returns:
                _ = each.return_value  # raises the error of a worker, if there is one
        return None

    def _end_foreign_workers(self) -> None:
        """Ask the workers, through the storage, to put back their trials and leave."""
        log.warning("Interrupted: waiting for the running trials to stop; again to end at once")
        # Not in the signal handler, which may have interrupted the use of a lock.
        threading.Thread(target=self._end_command, daemon=True).start()

    def _end_command(self) -> None:
        spec = self.plan.spec
        storage = open_storage(spec.storage, spec.folder)
        for work in work_of(spec, storage):
            work.ledger.end_command()

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


def _prepare_storage(plan: StudyPlan) -> BaseStorage:
    """Return the study's storage, with the study created or checked and its points enqueued."""
    spec, folder = plan.spec, plan.spec.folder
    if plan.settings.fresh:
        _require_idle(plan)
    if plan.settings.fresh and spec.storage is None:
        set_folder_aside(folder)
    elif plan.settings.fresh:
        set_aside(spec.name, open_storage(spec.storage, folder), folder)
    storage = open_storage(spec.storage, folder)  # first, since it may be refused
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK_FILE):
        if spec.name not in {s.study_name for s in storage.get_all_studies()}:
            _require_new(plan)
        create_study(spec.name, storage, plan.identity)
        prepare_finals(spec, storage, plan.settings.directions)
        study = open_study(spec.name, storage)
        is_spent = spec.budget.is_spent(study.get_trials(deepcopy=False), time.time())
        # What failed under a command, a later one alone tries again, and not a worker of the first.
        enqueue(study, plan.initial_points, again=not (plan.settings.join or is_spent))
    return storage


def _require_idle(plan: StudyPlan) -> None:
    """Check that no worker on this host runs a trial of the study that is to be moved away.

    Raises:
        ConfigError: a worker does.
    """
    spec = plan.spec
    if spec.storage is None and not (spec.folder / "journal.log").is_file():
        return
    try:
        storage = open_storage(spec.storage, spec.folder)
        trials = open_study(spec.name, storage).get_trials(deepcopy=False)
    except (ConfigError, KeyError):
        return  # a damaged journal, or no such study
    leases = [Lease.read(t.system_attrs) for t in trials if t.state == TrialState.RUNNING]
    alive = [lease for lease in leases if lease is not None and lease.process_is_alive()]
    if alive:
        raise ConfigError(
            f"study=fresh: study {spec.name} is running, in process {alive[0].pid} of "
            f"{alive[0].host_name}; end it first, or choose another name with "
            "hydra.sweeper.study_name=NAME"
        )


def _require_new(plan: StudyPlan) -> None:
    """Check that a study that the storage does not have may be created.

    Raises:
        ConfigError: a worker cannot join it, or its folder holds another study's trials.
    """
    name, folder = plan.spec.name, plan.spec.folder
    if plan.settings.join:
        raise ConfigError(
            f"study {name} does not exist; start it with its command before workers join it"
        )
    if (folder / MULTIRUN_FILE).is_file() and any(folder.glob("[0-9]*")):
        raise ConfigError(
            f"{folder} holds the trials of a study, but the study's storage does not know study "
            f"{name}: it was emptied, lost or replaced; put it back, or type study=fresh "
            "(hydra.sweeper.study=fresh), which moves the folder away and starts a new study"
        )


def _study_info(plan: StudyPlan, study: PulledStudy, storage: BaseStorage) -> StudyInfo:
    return StudyInfo(
        name=plan.spec.name,
        folder=plan.spec.folder,
        directions=plan.settings.directions,
        space=plan.identity.space,
        options=plan.identity.options,
        n_trials=plan.spec.budget.n_trials,
        storage=storage,
        parent_id=study.user_attrs.get(PARENT_KEY),
        best=plan.settings.best,
    )


def _next_steps(plan: StudyPlan, page: str | None) -> str:
    """Return what to type after the study, besides the command that trains its best trial again.

    page: the address of the study's page, below that of the tracking server, if it is known.
    """
    folder = plan.spec.folder
    has_events = next(folder.glob(f"*/{EVENTS_FOLDER}"), None) is not None
    logdir = folder if has_events else None
    return next_steps(folder / BEST_FOLDER, _tracking_uri(plan), logdir, page)


def _tracking_uri(plan: StudyPlan) -> str | None:
    """Return where MLflow has the study, without its password; None if nowhere."""
    for member in plan.spec.observers.members:
        uri, folder = getattr(member, "uri", None), getattr(member, "folder", None)
        if isinstance(folder, Path):
            with contextlib.suppress(ConfigError):
                return masked_uri(resolve_uri(uri, folder))
    return None


def _conclude(
    plan: StudyPlan, results: Results, interrupt: KeyboardInterrupt | None, page: str | None
) -> Results:
    results.show(interrupt is not None, _next_steps(plan, page) if results.chosen else "")
    if interrupt is not None:
        raise SystemExit(exit_code(interrupt))
    fatal = plan.spec.budget.fatal(results.trials)
    if fatal is not None:
        raise TrainingError(f"trial {fatal.number}: {fatal.user_attrs[FAILURE_KEY]}")
    if plan.spec.budget.too_many_failed(results.trials):
        raise TrainingError(results.failure_message())
    if plan.settings.max_failure_rate is None and (missing := results.missing()):
        raise TrainingError(missing)
    return results
