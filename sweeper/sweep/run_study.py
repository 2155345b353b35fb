"""The sweep itself: open the study, hand its workers to a launcher, report what came of it."""

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
    """Run or resume the study that `keys` (of `hydra.sweeper`) and `arguments` describe.

    Raises ConfigError for what cannot work, before any trial runs, and TrainingError when too
    many trials failed; exits with 130 after Ctrl-C.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan = plan_study(keys, context.config_loader, config, arguments)
    master = copy.deepcopy(config)
    with read_write(master.hydra), open_dict(master.hydra):
        master.hydra.sweep.dir = str(plan.spec.folder)
    storage = _open(plan)
    OmegaConf.save(master, plan.spec.folder / "multirun.yaml")
    study = open_study(plan.spec.name, storage, plan.spec.sampler.sampler(), plan.spec.pruner)
    info = _study_info(plan, study, storage)
    parent_id = plan.spec.observers.study_opened(info)
    if parent_id is not None:
        study.set_user_attr(PARENT_KEY, parent_id)
    spec = replace(plan.spec, parent_id=parent_id)
    crew = Crew(plan, Worker(spec, task, context, master), study, storage)
    with Board(study, spec, in_terminal=spec.capture_output):
        interrupted = crew.work()
    results = Results.of(study, plan.spec, plan.live)
    results.write()
    spec.observers.study_finished(replace(info, parent_id=parent_id))
    return _conclude(plan, results, interrupted)


@dataclass(frozen=True)
class Crew:
    """The workers of one study, for as many launches as it takes."""

    plan: StudyPlan
    worker: Worker
    study: PulledStudy
    storage: BaseStorage

    def work(self) -> bool:
        """Launch workers, again while that helps; return whether the user interrupted them.

        A launcher whose process died leaves its trial behind when the others have ended.
        """
        spec = self.plan.spec
        ledger = Ledger(self.study, self.storage, spec.folder, spec.budget)
        before = self._trials()
        if spec.budget.spent(before, time.time()):
            return False
        while True:
            try:
                if _interrupted(self._launch(self._size(before))):
                    return True
            except KeyboardInterrupt:
                return True
            after = self._trials()
            if _ended_and_reported(before) == _ended_and_reported(after) or not ledger.has_work():
                return False
            before = after

    def _launch(self, n: int) -> Sequence[JobReturn]:
        # The user's callbacks are for his runs; a worker is none.
        context = HydraContext(self.worker.context.config_loader, Callbacks())
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=self.worker, config=self.worker.master
        )
        return launcher.launch([self._worker_overrides()] * n, initial_job_idx=0)

    def _worker_overrides(self) -> list[str]:
        """Return overrides under which the worker's own job composes, apart from every trial."""
        live = self.plan.live
        return [
            *live.composer.lines(live.first_point()),
            f"hydra.sweep.dir={quoted(self.plan.spec.folder)}",
            "hydra.sweep.subdir=workers/${hydra.job.num}",
            "hydra.output_subdir=null",
            "hydra.job.chdir=false",
        ]

    def _size(self, trials: Sequence[FrozenTrial]) -> int:
        if self.worker.master.hydra.launcher._target_ == BASIC_LAUNCHER:
            return 1
        n, budget = n_workers(self.plan.settings.n_jobs), self.plan.spec.budget
        return n if budget.n_trials is None else min(n, budget.n_trials - budget.finished(trials))

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def _open(plan: StudyPlan) -> BaseStorage:
    """Create or check the study, a fresh one if so wanted, and enqueue its points."""
    spec, folder = plan.spec, plan.spec.folder
    if plan.settings.fresh and spec.storage is None:
        set_folder_aside(folder)
    elif plan.settings.fresh:
        set_aside(spec.name, open_storage(spec.storage, folder), folder)
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(spec.storage, folder)
    with file_lock(folder / LOCK_FILE):
        create_study(spec.name, storage, plan.search)
        enqueue(open_study(spec.name, storage), plan.points)
    return storage


def _study_info(plan: StudyPlan, study: PulledStudy, storage: BaseStorage) -> StudyInfo:
    return StudyInfo(
        name=plan.spec.name,
        folder=plan.spec.folder,
        directions=plan.settings.directions,
        space=plan.search.space,
        options=plan.search.options,
        n_trials=plan.spec.budget.n_trials,
        storage=storage,
        parent_id=study.user_attrs.get(PARENT_KEY),
    )


def _conclude(plan: StudyPlan, results: Results, interrupted: bool) -> Results:
    results.show(interrupted)
    if interrupted:
        raise SystemExit(INTERRUPTED_EXIT_CODE)
    if plan.spec.budget.too_many_failed(results.trials):
        raise TrainingError(results.too_many_failures())
    return results


def _interrupted(returns: Sequence[JobReturn]) -> bool:
    """Tell whether a worker was interrupted; what else went wrong in one is raised."""
    stopped = [
        r.status == JobStatus.FAILED and isinstance(r._return_value, KeyboardInterrupt)
        for r in returns
    ]
    ran = [r.return_value for r, stop in zip(returns, stopped, strict=True) if not stop]
    return any(stopped) or any(report.interrupted for report in ran)


def _ended_and_reported(trials: Sequence[FrozenTrial]) -> list[tuple[TrialState, int]]:
    return [(t.state, len(t.intermediate_values)) for t in trials]
