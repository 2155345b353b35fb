"""The command `python -m sweeper`: Hydra composes the config, and `sweeper.run` executes it."""

import re
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_original_cwd
from omegaconf import OmegaConf

from sweeper.cli.console import MaskedOutput
from sweeper.cli.leftovers import remove_written
from sweeper.cli.messages import WANTS_TRACEBACK, exit_with_line, raising_errors, run_command
from sweeper.concealment import conceal_command_line
from sweeper.configs import CONFIGS

if TYPE_CHECKING:
    from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="config")
def task(cfg: "DictConfig") -> float | tuple[float, ...]:
    """Run the composed experiment; return the best value of its metric, or of each metric."""
    # torch takes seconds to import, and --help does not need it.
    from sweeper.build.recipe import named_choices
    from sweeper.run.invocation import Invocation
    from sweeper.run.start import start

    settings = HydraConfig.get()
    invocation = Invocation(
        choices=named_choices(cfg, settings.runtime.choices),
        overrides=_typed(settings.overrides.task),
        arguments=sys.argv[1:],
        folder=Path(settings.runtime.output_dir),
        start_folder=Path(get_original_cwd()),
    )
    started = False
    try:
        run = start(cfg, invocation)
        started = True
        return run.execute()
    except (Exception, KeyboardInterrupt) as error:
        if not started:
            written = {str(settings.output_subdir), f"{settings.job.name}.log"}
            remove_written(invocation.folder, written, invocation.start_folder)
        hydra_reports = settings.mode is RunMode.MULTIRUN or WANTS_TRACEBACK
        if not isinstance(error, KeyboardInterrupt) and not hydra_reports:
            # Hydra would print another line before the error of a single run.
            exit_with_line(error)
        raise


def _typed(overrides: Any) -> list[str]:
    """Return overrides as they were typed; they may refer to keys of the run's config."""
    lines: Any = OmegaConf.to_container(overrides, resolve=False)
    return list(lines)


def main() -> None:
    """Run the command line; exit with 1 after an error that the user can fix."""
    conceal_command_line()
    shown = redirect_stdout(MaskedOutput(sys.stdout)) if _shows_config() else nullcontext()
    with raising_errors(), shown:
        run_command(task)


def _shows_config() -> bool:
    """Return whether Hydra will print the config, which may hold passwords of a conf file."""
    flag = r"--cfg?\b|--inf?o?\b|-c(job|hydra|all)?$|-i"
    return any(re.match(flag, argument) for argument in sys.argv[1:])
