"""The sweep itself: prepare the study, hand its workers to a launcher, report what came of it."""

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweeper.errors import TrainingError
from sweeper.launch.devices import n_workers
from sweeper.sweep.check import check_options
from sweeper.sweep.compose import Composer
from sweeper.sweep.grid import Grid, full_grid, required_grid
from sweeper.sweep.ledger import LOCK_FILE, Budget, Ledger
from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.observer import StudyInfo
from sweeper.sweep.points import default_point, enqueue, named_point
from sweeper.sweep.progress import Progress
from sweeper.sweep.results import Results
from sweeper.sweep.settings import DEFAULT_N_TRIALS, Settings, read_settings
from sweeper.sweep.space import parse_space
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import file_lock, open_storage
from sweeper.sweep.study import (
    PARENT_KEY,
    Search,
    create_study,
    open_study,
    set_aside,
    set_folder_aside,
)
from sweeper.sweep.worker import Worker

log = logging.getLogger(__name__)
HYDRAS_SWEEP_DIR = "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}"
LOCAL_LAUNCHER = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
INTERRUPTED_EXIT_CODE = 130


@dataclass(frozen=True)
class StudyRun:
    """One command's work on a study."""

    spec: StudySpec
    settings: Settings
    search: Search
    worker: Worker
    live: LiveSpace
    points: Sequence[Params]

    @staticmethod
    def prepare(
        keys: Mapping[str, Any],
        task: TaskFunction,
        context: HydraContext,
        config: DictConfig,
        arguments: Sequence[str],
    ) -> "StudyRun":
        """Read the settings and the space, and check what can be checked before a trial runs."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        settings = read_settings(keys)
        lines = [*settings.params, *arguments]
        space = parse_space(lines, context.config_loader, settings.auto)
        live = LiveSpace(space, Composer(context.config_loader, config, space))
        if settings.check:
            check_options(live)
        points = [default_point(live)] if settings.warm_start else []
        points += [named_point(live, point) for point in settings.enqueue]
        search = Search(
            space=live.describe(),
            directions=settings.directions,
            fixed=tuple(v for k, v in space.fixed.items() if k not in ("study", "search")),
            options=_options(live),
        )
        name = settings.study_name or f"{config.hydra.job.name}-{search.short_hash()}"
        folder = _study_folder(config, name)
        grid = _grid(settings, live)
        spec = StudySpec(
            name=name,
            folder=folder,
            space=space,
            budget=_budget(settings, grid),
            sampler=settings.sampler,
            pruner=settings.pruner,
            storage=settings.storage,
            extend_space=settings.extend_space,
            constraints=settings.constraints,
            observers=settings.observers,
            capture_output=config.hydra.launcher._target_ == LOCAL_LAUNCHER,
        )
        master = copy.deepcopy(config)
        with read_write(master.hydra), open_dict(master.hydra):
            master.hydra.sweep.dir = str(folder)
        worker = Worker(spec, task, context, master)
        return StudyRun(spec, settings, search, worker, live, () if grid else points)

    def run(self) -> Results:
        """Open the study, spend its budget, write its results, and return them.

        Raises TrainingError when too many trials failed; exits with 130 after Ctrl-C.
        """
        storage = self._open()
        info = self._study_info(storage)
        parent_id = self.spec.observers.study_opened(info)
        study = open_study(self.spec.name, storage, self.spec.sampler.sampler(), self.spec.pruner)
        if parent_id is not None:
            study.set_user_attr(PARENT_KEY, parent_id)
        with file_lock(self.spec.folder / LOCK_FILE):
            enqueue(study, self.points)
        ledger = Ledger(study, storage, self.spec.folder, self.spec.budget)
        with Progress(study, self.spec, in_terminal=self.spec.capture_output):
            try:
                interrupted = self._launch_until_spent(ledger, study, parent_id)
            except KeyboardInterrupt:
                interrupted = True
        self.spec.observers.study_finished(replace(info, parent_id=parent_id))
        results = Results.of(study, self.spec, self.live)
        results.write()
        results.show(interrupted)
        if interrupted:
            raise SystemExit(INTERRUPTED_EXIT_CODE)
        if ledger.too_many_failed(study.get_trials(deepcopy=False)):
            raise TrainingError(results.too_many_failures())
        return results

    def _open(self) -> BaseStorage:
        spec, folder = self.spec, self.spec.folder
        if self.settings.fresh:
            if spec.storage is None:
                set_folder_aside(folder)
            else:
                set_aside(spec.name, open_storage(spec.storage, folder), folder)
        folder.mkdir(parents=True, exist_ok=True)
        storage = open_storage(spec.storage, folder)
        create_study(spec.name, storage, self.search)
        OmegaConf.save(self.worker.master, folder / "multirun.yaml")
        return storage

    def _study_info(self, storage: BaseStorage) -> StudyInfo:
        attrs = storage.get_study_user_attrs(storage.get_study_id_from_name(self.spec.name))
        return StudyInfo(
            name=self.spec.name,
            folder=self.spec.folder,
            directions=self.settings.directions,
            space=self.search.space,
            n_trials=self.spec.budget.n_trials,
            storage=storage,
            parent_id=attrs.get(PARENT_KEY),
        )

    def _launch_until_spent(self, ledger: Ledger, study: Any, parent_id: str | None) -> bool:
        """Launch workers, again while that helps; return whether the user interrupted them.

        A launcher whose process died leaves its trial behind when the others have ended.
        """
        worker = replace(self.worker, spec=replace(self.spec, parent_id=parent_id))
        while True:
            before = study.get_trials(deepcopy=False)
            if ledger.spent(before):
                return False
            returns = self._launch(worker, self._n_workers(ledger, before))
            if _interrupted(returns):
                return True
            after = study.get_trials(deepcopy=False)
            if _signature(before) == _signature(after) or not ledger.has_work(after):
                return False

    def _launch(self, worker: Worker, n: int) -> Sequence[JobReturn]:
        context = HydraContext(self.worker.context.config_loader, Callbacks())
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=worker, config=worker.master
        )
        return launcher.launch([self._worker_overrides()] * n, initial_job_idx=0)

    def _worker_overrides(self) -> list[str]:
        """Return overrides under which the worker's own job composes, apart from every trial."""
        folder = str(self.spec.folder).replace("\\", "\\\\").replace("'", "\\'")
        return [
            *self.live.composer.lines(self.live.first_point()),
            f"hydra.sweep.dir='{folder}'",
            "hydra.sweep.subdir=workers/${hydra.job.num}",
            "hydra.output_subdir=null",
            "hydra.job.chdir=false",
        ]

    def _n_workers(self, ledger: Ledger, trials: Sequence[FrozenTrial]) -> int:
        if self.worker.master.hydra.launcher._target_ == BASIC_LAUNCHER:
            return 1
        n, n_trials = n_workers(self.settings.n_jobs), self.spec.budget.n_trials
        return n if n_trials is None else min(n, n_trials - ledger.finished(trials))


def _options(live: LiveSpace) -> dict[str, Any]:
    """Return the config groups' choices that the study does not sweep."""
    swept = {p.key.lstrip("+~") for p in live.groups}
    choices = live.composer.base(live.first_point()).hydra.runtime.choices
    kept = {str(k): v for k, v in choices.items() if not str(k).startswith("hydra/")}
    return {k: v for k, v in kept.items() if k not in {*swept, "search"}}


def _study_folder(config: DictConfig, name: str) -> Path:
    """Return `hydra.sweep.dir` where the user set one, else `multirun/<study>`."""
    raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    if raw["dir"] == HYDRAS_SWEEP_DIR:
        return (Path("multirun") / name).absolute()
    return Path(str(config.hydra.sweep.dir)).absolute()


def _grid(settings: Settings, live: LiveSpace) -> Grid | None:
    if settings.wants_grid:
        return required_grid(live)
    if settings.n_trials is None and settings.timeout_seconds is None:
        return None if settings.extend_space else full_grid(live)
    return None


def _budget(settings: Settings, grid: Grid | None) -> Budget:
    n_trials, now = settings.n_trials, time.time()
    if grid is not None:
        n_trials = min(len(grid), n_trials or len(grid))
    elif n_trials is None and settings.timeout_seconds is None:
        n_trials = DEFAULT_N_TRIALS
    timeout = settings.timeout_seconds
    return Budget(
        n_trials=n_trials,
        exhaustive=grid is not None,
        deadline=None if timeout is None else now + timeout,
        since=now,
        max_failures=int(settings.max_failure_rate * (n_trials or DEFAULT_N_TRIALS)),
        max_retries=settings.max_retries,
        lease_seconds=settings.lease_seconds,
    )


def _interrupted(returns: Sequence[JobReturn]) -> bool:
    """Tell whether a worker was interrupted; what else went wrong in one is raised."""
    interrupted = False
    for result in returns:
        if result.status == JobStatus.FAILED and isinstance(
            result._return_value, KeyboardInterrupt
        ):
            interrupted = True
        else:
            interrupted = result.return_value.interrupted or interrupted
    return interrupted


def _signature(trials: Sequence[FrozenTrial]) -> list[tuple[TrialState, int]]:
    return [(t.state, len(t.intermediate_values)) for t in trials]
