"""The run of a study in the parent process: plan, open, launch the workers, write the results."""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeper.cli.overrides import quoted
from sweeper.errors import TrainingError
from sweeper.launch.resources import n_workers
from sweeper.sweep.board import Board
from sweeper.sweep.ledger import LOCK_FILE, Ledger
from sweeper.sweep.observer import StudyInfo
from sweeper.sweep.plan import StudyPlan, plan_study
from sweeper.sweep.points import enqueue
from sweeper.sweep.results import Results
from sweeper.sweep.storage import file_lock, open_storage
from sweeper.sweep.study import (
    PARENT_KEY,
    PulledStudy,
    create_study,
    open_study,
    set_aside,
    set_folder_aside,
)
from sweeper.sweep.worker import Worker

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
INTERRUPTED_EXIT_CODE = 130


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
        SystemExit: the user pressed Ctrl-C; exit code 130.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = plan_study(keys, context.config_loader, config, arguments)
    master = copy.deepcopy(config)
    with read_write(master.hydra), open_dict(master.hydra):
        master.hydra.sweep.dir = str(plan.spec.folder)
    storage = _prepare_storage(plan)
    OmegaConf.save(master, plan.spec.folder / "multirun.yaml")
    study = open_study(plan.spec.name, storage, plan.spec.sampler.sampler(), plan.spec.pruner)
    info = _study_info(plan, study, storage)
    parent_id = plan.spec.observers.study_opened(info)
    if parent_id is not None:
        study.set_user_attr(PARENT_KEY, parent_id)
    spec = replace(plan.spec, parent_id=parent_id)
    workers = Workers(plan, Worker(spec, task, context, master), study, storage)
    with Board(study, spec, in_terminal=spec.capture_output):
        interrupted = workers.run()
    results = Results.of(study, plan.spec, plan.live)
    results.write()
    spec.observers.study_finished(replace(info, parent_id=parent_id))
    return _conclude(plan, results, interrupted)


@dataclass(frozen=True)
class Workers:
    """The workers of a study, launched as often as needed until the study ends."""

    plan: StudyPlan
    worker: Worker
    study: PulledStudy
    storage: BaseStorage

    def run(self) -> bool:
        """Run the workers, and return whether the user interrupted them.

        A launcher may return although a worker died and left its trial behind. The workers are
        then launched again, as long as there is work and the last launch made progress.
        """
        spec = self.plan.spec
        ledger = Ledger(self.study, self.storage, spec.folder, spec.budget)
        before = self._trials()
        if spec.budget.is_spent(before, time.time()):
            return False
        while True:
            try:
                if _interrupted(self._launch(self._n_workers(before))):
                    return True
            except KeyboardInterrupt:
                return True
            after = self._trials()
            if _progress(before) == _progress(after) or not ledger.has_work():
                return False
            before = after

    def _launch(self, n: int) -> Sequence[JobReturn]:
        # No callbacks, because those of the user are meant for trials, not for workers.
        context = HydraContext(self.worker.context.config_loader, Callbacks())
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=self.worker, config=self.worker.master
        )
        return launcher.launch([self._worker_overrides()] * n, initial_job_idx=0)

    def _worker_overrides(self) -> list[str]:
        """Return the overrides of a worker's own job, whose folder is not that of any trial."""
        live = self.plan.live
        return [
            *live.composer.overrides(live.first_point()),
            f"hydra.sweep.dir={quoted(self.plan.spec.folder)}",
            "hydra.sweep.subdir=workers/${hydra.job.num}",
            "hydra.output_subdir=null",
            "hydra.job.chdir=false",
        ]

    def _n_workers(self, trials: Sequence[FrozenTrial]) -> int:
        if self.worker.master.hydra.launcher._target_ == BASIC_LAUNCHER:
            return 1
        n, budget = n_workers(self.plan.settings.n_jobs), self.plan.spec.budget
        return n if budget.n_trials is None else min(n, budget.n_trials - budget.n_finished(trials))

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def _prepare_storage(plan: StudyPlan) -> BaseStorage:
    """Return the study's storage, with the study created or checked and its points enqueued."""
    spec, folder = plan.spec, plan.spec.folder
    if plan.settings.fresh and spec.storage is None:
        set_folder_aside(folder)
    elif plan.settings.fresh:
        set_aside(spec.name, open_storage(spec.storage, folder), folder)
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(spec.storage, folder)
    with file_lock(folder / LOCK_FILE):
        create_study(spec.name, storage, plan.identity)
        enqueue(open_study(spec.name, storage), plan.initial_points)
    return storage


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
    )


def _conclude(plan: StudyPlan, results: Results, interrupted: bool) -> Results:
    results.show(interrupted)
    if interrupted:
        raise SystemExit(INTERRUPTED_EXIT_CODE)
    if plan.spec.budget.too_many_failed(results.trials):
        raise TrainingError(results.failure_message())
    return results


def _interrupted(returns: Sequence[JobReturn]) -> bool:
    """Return whether a worker was interrupted; raise any other error of a worker."""
    stopped = [
        r.status == JobStatus.FAILED and isinstance(r._return_value, KeyboardInterrupt)
        for r in returns
    ]
    reports = [r.return_value for r, stop in zip(returns, stopped, strict=True) if not stop]
    return any(stopped) or any(report.interrupted for report in reports)


def _progress(trials: Sequence[FrozenTrial]) -> list[tuple[TrialState, int]]:
    """Return the state and the number of reports of each trial."""
    return [(t.state, len(t.intermediate_values)) for t in trials]
