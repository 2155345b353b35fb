"""The plugin `hydra/sweeper=sweeper`; every start of any Hydra application imports this file."""

from typing import Any

from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.errors import SweeperError


class StudySweeper(Sweeper):
    """Sweeper that runs a multirun as an Optuna study."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.config = hydra_context, config
        self._task = task_function

    def sweep(self, arguments: list[str]) -> Any:
        from sweeper.sweep.run_study import run_study

        assert self.hydra_context is not None
        assert self.config is not None
        try:
            return run_study(self._settings, self._task, self.hydra_context, self.config, arguments)
        except SweeperError as error:
            # Hydra prints only the message of this exception, without a traceback.
            raise CompactHydraException(str(error)) from error
