"""The plugin `hydra/sweeper=sweeper`; every start of any Hydra application imports this file."""

from dataclasses import replace
from traceback import format_exception
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.errors import SweeperError
from sweeper.hydra_settings import LocalLauncherConf
from sweeper.secrets import without_password


class StudySweeper(Sweeper):
    """Sweeper that runs a multirun as an Optuna study."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from sweeper.concealment import (
            ConcealingLoader,
            conceal_command_line,
            conceal_config,
            concealed_values,
        )

        conceal_command_line()
        conceal_config(config)
        if (own := HydraConfig.instance().cfg) is not None:  # Hydra 1.4 has another copy of it
            conceal_config(own)
        self._settings = concealed_values(self._settings, "hydra.sweeper")
        loader = cast(ConfigLoader, ConcealingLoader(hydra_context.config_loader))
        self.hydra_context = replace(hydra_context, config_loader=loader)
        self.config, self._task = config, task_function
        if config.hydra.launcher._target_ == LocalLauncherConf._target_:
            _start_server(task_function)

    def sweep(self, arguments: list[str]) -> Any:
        from sweeper.launch.early import close_server
        from sweeper.sweep.run_study import run_study

        assert self.hydra_context is not None
        assert self.config is not None
        try:
            return run_study(self._settings, self._task, self.hydra_context, self.config, arguments)
        except Exception as error:
            traceback = "".join(format_exception(error))
            has_password = traceback != without_password(traceback)
            if not isinstance(error, SweeperError) and not has_password:
                raise
            # Hydra prints only the message of this exception, without a traceback.
            message = without_password(str(error) or type(error).__name__)
            raise CompactHydraException(message) from (None if has_password else error)
        finally:
            close_server()


def _start_server(task: TaskFunction) -> None:
    """Let a server import what the task needs, while this process plans the study.

    Raises:
        CompactHydraException: the task cannot be sent to a worker process.
    """
    from sweeper.launch.early import close_server, current_server, start_server
    from sweeper.launch.script import pickled_task

    start_server(["sweeper.sweep.worker_task"])
    try:
        content = pickled_task(task)
    except SweeperError as error:
        close_server()
        raise CompactHydraException(without_password(str(error))) from error
    server = current_server()
    if server is not None:
        server.load(content)
