"""The run of a study in the parent process: plan, open, run the workers, write the results."""

import copy
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.storages import BaseStorage

from sweeper.cli.interrupts import exit_code
from sweeper.cli.messages import FULL_DISK, user_message
from sweeper.cli.next_steps import next_steps
from sweeper.cli.repeated import repeated_lines
from sweeper.cli.waiting import hide_waiting, is_waiting_shown, waiting_for
from sweeper.errors import ConfigError, OutageError, TrainingError
from sweeper.launch.apart import can_call_apart
from sweeper.locks import locked
from sweeper.secrets import masked_uri, without_password
from sweeper.sweep.announcement import options_text, plan_line, plan_text
from sweeper.sweep.board import Board
from sweeper.sweep.budget import FAILURE_KEY
from sweeper.sweep.command import PART_VARIABLE, STARTS_STUDY_KEY, StudyCommand
from sweeper.sweep.finals.agenda import search_is_over
from sweeper.sweep.observer import Observers, StudyInfo
from sweeper.sweep.opening import announce
from sweeper.sweep.plan import StudyPlan, plan_study
from sweeper.sweep.recorder import Recorder, recorded, recorder_of
from sweeper.sweep.results.best_folder import BEST_FOLDER
from sweeper.sweep.results.results import Results
from sweeper.sweep.storage import JOURNAL, open_storage
from sweeper.sweep.storage_place import absolute, file_of
from sweeper.sweep.study import (
    MULTIRUN_FILE,
    PARENT_KEY,
    PulledStudy,
    compare_study,
    open_study,
)
from sweeper.sweep.study_storage import prepare_storage
from sweeper.sweep.work import work_of
from sweeper.sweep.worker_task import Worker
from sweeper.sweep.workers import Workers
from sweeper.text import in_one_line
from sweeper.tracking.uri import resolve_uri

log = logging.getLogger(__name__)
EVENTS_FOLDER = "tensorboard"
OPENING_LOCK = ".opening.lock"
"""The file in a study's folder that a command locks while its observers open the study."""


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
        OutageError: the database of the study was away for too long.
        TrainingError: too many trials failed, or the disk is full.
        SystemExit: a signal ended the command; exit code 130 for Ctrl-C, 143 for SIGTERM,
            129 for SIGHUP.
    """
    recorder = recorder_of(keys) if can_call_apart() else None
    try:
        return _run_study(keys, task, context, config, arguments, recorder)
    except KeyboardInterrupt as interrupt:  # while no worker runs, such as in a check
        raise SystemExit(exit_code(interrupt)) from None
    except OutageError as error:
        raise OutageError(f"{error}; the same command resumes the study") from error
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise TrainingError(str(user_message(error))) from error
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
    is_part = PART_VARIABLE in os.environ
    known = "" if is_part else options_text(config, arguments)
    if known and is_waiting_shown():  # elsewhere nobody waits for it, so it comes once it is sure
        log.info("%s", known)
        known = ""
    waiting_for("checking the search space")
    start_recorder: Callable[[], None] = recorder.start if recorder is not None else lambda: None
    plan = plan_study(keys, context.config_loader, config, arguments, start_recorder)
    if plan.settings.compares:
        return _compared(plan)
    start_recorder()  # nobody had to wait for a check
    waiting_for("opening the study")
    logs = config.hydra.hydra_logging, config.hydra.verbose
    observers = recorded(plan.spec.observers, recorder, plan.spec, logs)
    master = copy.deepcopy(config)
    with read_write(master.hydra), open_dict(master.hydra):
        master.hydra.sweep.dir = str(plan.spec.folder)
    plan, storage = prepare_storage(plan)
    study = open_study(plan.spec.name, storage, plan.spec.sampler.sampler())
    info = _study_info(plan, study, storage)
    if not plan.settings.join:
        OmegaConf.save(master, plan.spec.folder / MULTIRUN_FILE)
        StudyCommand.current(plan.spec.name, plan.spec.storage).write(study, plan.spec.folder)
        text = plan_line(plan) if is_part else plan_text(plan)
        log.info("%s", "\n".join(filter(None, [known, text])))
        typed: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
        for line in repeated_lines([*arguments, *typed]):
            log.warning("%s", line)
        announce(plan, study, any(work.has_work() for work in work_of(plan.spec, storage)), config)
        waiting_for("opening the record of the study")
        with _ending_record(observers, info):
            info = _opened(observers, study, info)
    spec = replace(plan.spec, parent_id=info.parent_id)
    composer = plan.live.composer.with_master(master)
    workers = Workers(plan, Worker(spec, task, context, composer), work_of(spec, storage))
    hide_waiting()
    return _run_opened(plan, study, workers, observers, info)


def _run_opened(
    plan: StudyPlan,
    study: PulledStudy,
    workers: Workers,
    observers: Observers,
    info: StudyInfo,
) -> Results:
    """Run the workers of a study that was opened, and record and show its results."""
    spec = workers.worker.spec
    with nullcontext() if plan.settings.join else _ending_record(observers, info):
        with Board(study, spec, in_terminal=spec.own_process):
            interrupt = workers.run()
        results, page = Results.of(study, plan.spec, plan.live, plan.settings.best), None
        if not plan.settings.join:
            try:
                page = _record(plan, study, observers, info, results, interrupt is not None)
            except KeyboardInterrupt as error:
                log.warning("Interrupted while the study was recorded; its record is not complete")
                interrupt = interrupt or error
    return _conclude(plan, results, interrupt, page)


def _record(
    plan: StudyPlan, study: PulledStudy, observers: Observers, info: StudyInfo, results: Results,
    interrupted: bool,
) -> str | None:  # fmt: skip
    """Write the results of a study and tell the observers; return the address of its page."""
    waiting_for("writing the results")
    results.write()
    waiting_for("recording the study and drawing its figures")
    has_ended = plan.spec.budget.has_ended(results.trials) or (
        not interrupted and search_is_over(plan.spec, results.trials, time.time())
    )
    command = results.command(results.chosen) if results.chosen else ""
    if results.chosen and plan.live.composer.starts_study:
        study.set_user_attr(STARTS_STUDY_KEY, True)
    return observers.study_finished(replace(info, has_ended=has_ended, train_again=command))


@contextmanager
def _ending_record(observers: Observers, info: StudyInfo) -> Iterator[None]:
    """Let the observers end the record of a study that an error ends; the error goes on."""
    try:
        yield
    except Exception as error:
        waiting_for("ending the record of the study")
        reason = without_password(in_one_line(error)) or type(error).__name__
        with suppress(KeyboardInterrupt):  # from somebody who does not wait for the record
            observers.study_failed(info, reason)
        raise


def _compared(plan: StudyPlan) -> Results:
    """Return the results of a study that has the settings of this command.

    Raises:
        ConfigError: it has others, or there is no such study.
    """
    spec = plan.spec
    place = spec.folder / JOURNAL if spec.storage is None else spec.storage
    if not isinstance(place, BaseStorage):
        file = file_of(absolute(str(place), Path.cwd()))
        if file is not None and not file.is_file():  # to open the storage would create it
            raise ConfigError(
                f"study {spec.name} does not exist (there is no file {masked_uri(str(file))}); "
                "start it with its command"
            )
    storage = open_storage(spec.storage, spec.folder)
    compare_study(spec.name, storage, plan.identity)
    return Results.of(open_study(spec.name, storage), spec, plan.live, plan.settings.best)


def _opened(observers: Observers, study: PulledStudy, info: StudyInfo) -> StudyInfo:
    """Tell the observers of the study; return its description with the id that they gave it.

    Another command may have opened the study since it was read. Of two that start at the same time,
    the second one waits for the id. No worker needs this lock, since an observer may take long.
    """
    with locked(info.folder / OPENING_LOCK):
        info = replace(info, parent_id=study.user_attrs.get(PARENT_KEY))
        parent_id = observers.study_opened(info)
        if parent_id is not None:
            study.set_user_attr(PARENT_KEY, parent_id)
    return replace(info, parent_id=parent_id)


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


def _next_steps(plan: StudyPlan, results: Results, page: str | None) -> str:
    """Return what to type after the study, besides the command that trains its best trial again.

    A network that could not be scored may be of an earlier epoch than the results.

    page: the address of the study's page, below that of the tracking server, if it is known.
    """
    folder = plan.spec.folder
    has_events = next(folder.glob(f"*/{EVENTS_FOLDER}"), None) is not None
    logdir = folder if has_events else None
    is_sure = results.scores is None or results.scores.failure is None
    best = folder / BEST_FOLDER if is_sure else None
    return next_steps(best, _tracking_uri(plan), logdir, page)


def _tracking_uri(plan: StudyPlan) -> str | None:
    """Return where MLflow has the study, without its password; None if nowhere."""
    for member in plan.spec.observers.members:
        uri, folder = getattr(member, "uri", None), getattr(member, "folder", None)
        if isinstance(folder, Path):
            with suppress(ConfigError):
                return masked_uri(resolve_uri(uri, folder))
    return None


def _conclude(
    plan: StudyPlan, results: Results, interrupt: KeyboardInterrupt | None, page: str | None
) -> Results:
    if PART_VARIABLE not in os.environ:
        next_lines = _next_steps(plan, results, page) if results.chosen else ""
        results.show(interrupt is not None, next_lines)
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
