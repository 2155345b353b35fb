"""A call from Python that does what a command line does, through the same code."""

import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery

from sweeper.api.untouched import untouched
from sweeper.cli.interrupts import SIGNALS, Interrupted
from sweeper.cli.leftovers import Leftovers
from sweeper.cli.messages import WANTS_TRACEBACK, check_words, line_for
from sweeper.cli.program import standing_in
from sweeper.cli.rewording import ADD_MULTIRUN
from sweeper.cli.typed import check_overrides
from sweeper.concealment import conceal_command_line
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError, EndedError, SweeperError, TrainingError
from sweeper.hydra_versions import COMPOSING, as_main
from sweeper.secrets import without_password

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

PROGRAM = ("-m", "sweeper")
CONFIG_NAME = "config"
# The folder, the environment, logging and Hydra's singletons belong to the whole process. A call
# within another one, such as in a callback, is of the same thread.
ONE_THREAD = threading.RLock()
AS_CALLED = (
    (rf"(?:{ADD_MULTIRUN}: |\btype )?--multirun (?=\S+=)", "call sweeper.sweep with "),
    (r"\btype --multirun\b", "call sweeper.sweep"),
    (r"(; |\bsee |\btype )--(?=help|cfg|hydra-help|info|version)", r"\1python -m sweeper --"),
)
"""What a line for the command line says to type, with what to do in Python."""


@dataclass(frozen=True)
class Call:
    """A call with the overrides of a command line.

    Args:
        overrides: The overrides, such as `model=lenet`.
        config_dir: Folder of the caller's own options, or None.
        multirun: True for a study.
    """

    overrides: tuple[str, ...]
    config_dir: Path | None = None
    multirun: bool = False

    @property
    def arguments(self) -> list[str]:
        """The arguments of the equivalent command line."""
        flags = ["--multirun"] if self.multirun else []
        flags += [] if self.config_dir is None else ["--config-dir", str(self.config_dir)]
        return [*flags, *self.overrides]

    @contextmanager
    def opened(self) -> Iterator[tuple["Hydra", list[str]]]:
        """Yield Hydra for this application, and the overrides to give to it, without passwords.

        At the end, the state of the process is as it was before. A call in another thread waits
        until then.

        Raises:
            SweeperError: an error for which the command line prints one line, in the context too.
            KeyboardInterrupt: a signal ended the work. SIGTERM and SIGHUP are then raised again,
                for the handlers of the caller.
        """
        self._check_types()
        with (
            ONE_THREAD,
            _signals_raised_again(),
            _one_line_errors(self.arguments, self.overrides),
            untouched(),
        ):
            self._check()
            with as_main(), standing_in(PROGRAM, self.arguments):
                conceal_command_line()
                overrides = sys.argv[len(sys.argv) - len(self.overrides) :]
                mode = "MULTIRUN" if self.multirun else "RUN"
                yield self._hydra(), [*overrides, f"hydra.mode={mode}"]

    def _check_types(self) -> None:
        for override in self.overrides:
            if not isinstance(override, str):
                raise ConfigError(
                    f"{type(override).__name__}: an override must be a text; type texts such as "
                    '"model=lenet", "trainer.epochs=3"'
                )

    def _check(self) -> None:
        for override in self.overrides:
            if override.startswith("-"):
                raise ConfigError(
                    f"{override}: flags are for the command line; type overrides such as "
                    '"model=lenet", and config_dir=FOLDER for your own options'
                )
            if override.lstrip("+~").startswith("hydra.mode="):
                raise ConfigError(f"{override}: call sweeper.run or sweeper.sweep instead")
        if self.config_dir is not None and not self.config_dir.is_dir():
            raise ConfigError(
                f"config_dir={self.config_dir}: there is no such folder; type the path of a folder "
                "with your own options, such as my_conf"
            )
        check_words(self.overrides, self.arguments)
        check_overrides(self.arguments)

    def _hydra(self) -> "Hydra":
        """Return Hydra as `hydra.main` and `hydra.initialize_config_dir` create it."""
        from hydra._internal.hydra import Hydra

        if COMPOSING:  # Hydra 1.4 has no version base
            version.setbase(COMPOSING["version_base"])
        search_path = create_config_search_path(str(CONFIGS))
        if self.config_dir is not None:
            search_path.prepend(
                provider="command-line",
                path=f"file://{self.config_dir.absolute()}",
                anchor=SearchPathQuery(provider="schema"),
            )
        return Hydra.create_main_hydra2(task_name="app", config_search_path=search_path)


@contextmanager
def _one_line_errors(arguments: Sequence[str], overrides: Sequence[str]) -> Iterator[None]:
    """Raise the errors that the user can fix with the line that the command line prints.

    Hydra's own files of a run that was refused are removed, as after a command.
    """
    leftovers = Leftovers(overrides)
    try:
        yield
        return
    except SystemExit as end:
        raised: BaseException = _error_of_exit(end.code)
    except EndedError as ended:
        leftovers.remove()
        raised = ended.error
    except Exception as error:
        if line_for(error, arguments) is not None:
            leftovers.remove(error)
        raised = error
    # Here, and not above, so that Python shows no other error before this one.
    raise _in_one_line(raised, arguments) if isinstance(raised, Exception) else raised


def _in_one_line(error: Exception, arguments: Sequence[str]) -> Exception:
    """Return the error for the user; one in his code, or in ours, is returned as it is."""
    line, text = line_for(error, arguments), "".join(traceback.format_exception(error))
    has_password = text != without_password(text)
    if line is None and not has_password:
        return error
    own = error if isinstance(error, SweeperError) else error.__cause__
    kind = type(own) if isinstance(own, SweeperError) else ConfigError
    if line is None:
        kind, line = TrainingError, f"{type(error).__name__}: {error}"
    for typed, called in AS_CALLED:
        line = re.sub(typed, called, line)
    shown = kind(without_password(line))
    shown.__cause__ = error if WANTS_TRACEBACK and not has_password else None
    return shown


def _error_of_exit(code: object) -> BaseException:
    """Return the error for the exit code of a command."""
    if isinstance(code, int) and code - 128 in SIGNALS:
        return Interrupted(code - 128)
    return TrainingError(f"the command ended with exit code {code}; its lines above say why")


@contextmanager
def _signals_raised_again() -> Iterator[None]:
    try:
        yield
    except Interrupted as interrupt:
        if interrupt.number != signal.SIGINT:
            sys.stdout.flush()
            signal.raise_signal(interrupt.number)
        raise
