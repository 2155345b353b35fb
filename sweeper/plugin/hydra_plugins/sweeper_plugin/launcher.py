"""The plugin `hydra/launcher=local`; every start of any Hydra application imports this file."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Launcher that runs jobs, or the workers of a study, in processes on this machine."""

    def __init__(self, n_jobs: int | str = "auto", trials_per_gpu: int = 1) -> None:
        self._n_jobs, self._trials_per_gpu = n_jobs, trials_per_gpu
        self._setup_arguments: dict[str, Any] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._setup_arguments = {"context": hydra_context, "task": task_function, "config": config}

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from sweeper.launch.local import LocalPool

        pool = LocalPool(
            **self._setup_arguments, n_jobs=self._n_jobs, trials_per_gpu=self._trials_per_gpu
        )
        return pool.run(job_overrides, initial_job_idx)
