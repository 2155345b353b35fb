"""The command `python -m sweeper`: Hydra composes the config, and `sweeper.run` executes it."""

import logging
import re
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from sweeper import trial
from sweeper.cli.console import MaskedOutput
from sweeper.cli.interrupts import terminable
from sweeper.cli.leftovers import remove_written
from sweeper.cli.messages import WANTS_TRACEBACK, exit_with_line, raising_errors, run_command
from sweeper.cli.next_steps import relative
from sweeper.cli.repeated import repeated_lines
from sweeper.cli.run_folder import alone_in
from sweeper.cli.unsearched import unsearched_line
from sweeper.cli.waiting import is_waiting_shown, waiting_for
from sweeper.concealment import conceal_command_line
from sweeper.configs import CONFIGS
from sweeper.errors import EndedError
from sweeper.hydra_versions import MAIN
from sweeper.run.overview import built_text, config_text

if TYPE_CHECKING:
    from hydra.conf import HydraConf
    from omegaconf import DictConfig

    from sweeper.run.run import Run

log = logging.getLogger(__name__)


def executed(cfg: "DictConfig", in_words: bool = False) -> tuple["Run", float | tuple[float, ...]]:
    """Run the composed experiment; return it and the best value of its metric, or of each metric.

    If it cannot start, what Hydra has written for it is removed. Outside a study, a line warns of
    each override that cannot be meant. If `in_words`, it is said what is going to run, and what to
    type when it has run; a call from Python wants no such words.

    Raises:
        SweeperError: the config, the data or the checkpoint cannot be used, another run is in the
            same folder, or training failed.
        KeyboardInterrupt: the run was interrupted; its state is saved.
    """
    # The lease of a trial says whose its folder is.
    alone = trial.info() is None
    folder = Path(HydraConfig.get().runtime.output_dir)
    with alone_in(folder) if alone else nullcontext():
        return _executed(cfg, in_words)


def _executed(cfg: "DictConfig", in_words: bool) -> tuple["Run", float | tuple[float, ...]]:
    settings = HydraConfig.get()
    known = _config_text(cfg, settings) if in_words else ""
    if known and is_waiting_shown():  # elsewhere nobody waits for it, so it comes once it is sure
        log.info("%s", known)
        known = ""
    waiting_for("importing torch")
    # torch takes seconds to import, and --help does not need it.
    from sweeper.run.invocation import Invocation
    from sweeper.run.pointless import pointless_lines
    from sweeper.run.start import start

    invocation = Invocation.of_job(cfg)
    try:
        with terminable():  # what is half written, such as a cache, is then removed
            run = start(cfg, invocation)
    except (Exception, KeyboardInterrupt):
        written = {str(settings.output_subdir), f"{settings.job.name}.log"}
        remove_written(invocation.folder, written, invocation.start_folder)
        raise
    if in_words:
        log.info("%s\n", "\n".join(filter(None, [known, built_text(run.experiment, run.summary)])))
    if trial.info() is None:
        typed = _typed(settings)
        advice = "add --multirun" if in_words else "call sweeper.sweep"
        unsearched = unsearched_line(typed, _params(settings), advice)
        pointless = pointless_lines(run.experiment)
        for line in filter(None, [*repeated_lines(typed), unsearched, *pointless]):
            log.warning("%s", line)
    value = run.execute()
    if in_words and (steps := run.next_steps):
        log.info("%s", steps)
    return run, value


def _typed(settings: "HydraConf") -> list[str]:
    # An override may refer to a value that only the jobs of a multirun have.
    overrides: Any = settings.overrides
    typed: Any = OmegaConf.to_container(overrides, resolve=False)
    return [*typed["task"], *typed["hydra"]]


def _params(settings: "HydraConf") -> Any:
    """Return the search space that `search=NAME` names, whose values are texts."""
    params = OmegaConf.select(OmegaConf.create(settings.sweeper), "params")
    return OmegaConf.to_container(params, resolve=False) if params else None


def _config_text(cfg: "DictConfig", settings: "HydraConf") -> str:
    """Return what the config says of the run; passwords are no part of it."""
    folder = relative(Path(settings.runtime.output_dir), Path(settings.runtime.cwd))
    return config_text(cfg, settings.runtime.choices, folder)


@hydra.main(config_path=str(CONFIGS), config_name="config", **MAIN)
def task(cfg: "DictConfig") -> float | tuple[float, ...]:
    """Run the composed experiment; return the best value of its metric, or of each metric."""
    try:
        return executed(cfg, in_words=trial.info() is None)[1]
    except Exception as error:
        if HydraConfig.get().mode is not RunMode.MULTIRUN and not WANTS_TRACEBACK:
            # Hydra would print another line before the error of a single run.
            exit_with_line(error)
        raise


def main() -> None:
    """Run the command line; exit with 1 after an error that the user can fix."""
    conceal_command_line()
    shown = redirect_stdout(MaskedOutput(sys.stdout)) if _shows_config() else nullcontext()
    with raising_errors(), shown:
        run_command(_run_task)


def _run_task() -> None:
    """Run the task; raise the error for which a callback of Hydra has ended the command."""
    try:
        task()
    except EndedError as ended:
        raise ended.error from None


def _shows_config() -> bool:
    """Return whether Hydra will print the config, which may hold passwords of a conf file."""
    flag = r"--cfg?\b|--inf?o?\b|-c(job|hydra|all)?$|-i"
    return any(re.match(flag, argument) for argument in sys.argv[1:])
