"""Errors as one line for the user."""

import os
import sys
import traceback
from collections.abc import Callable

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sweeper.errors import SweeperError
from sweeper.text import did_you_mean, in_one_line, printable

WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


def run_command(command: Callable[[], object]) -> None:
    """Run a command; print one line and exit with 1 after an error that the user can fix."""
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = None if WANTS_TRACEBACK else user_message(error)
        if message is None:
            raise
        sys.stderr.write(printable(message, newlines=True) + "\n")
        sys.exit(1)


def user_message(error: Exception) -> str | None:
    """Return the line to print for an error that the user can fix, or None for other errors."""
    if isinstance(error, SweeperError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return f"{group}={option}: there is no such option; {did_you_mean(option, error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {in_one_line(error.message)}"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return in_one_line(error) + _hint(error.__cause__)
    if isinstance(error, ValueError) and _is_raised_by_hydra(error):
        return in_one_line(error)  # for example, a group is set to null
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; hydra.run.dir=PATH writes to another folder"
    return None


def _hint(cause: BaseException | None) -> str:
    """Return the keys that are similar to an unknown one, or the error of a value."""
    parent = getattr(cause, "parent_node", None)
    if not isinstance(cause, OmegaConfBaseException) or not isinstance(parent, DictConfig):
        return ""
    if cause.key in parent:
        return f"; {str(cause).splitlines()[0]}"
    return f"; {did_you_mean(str(cause.key), (str(key) for key in parent))}"


def _is_raised_by_hydra(error: Exception) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__")).startswith("hydra.")
