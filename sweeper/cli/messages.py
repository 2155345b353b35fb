"""Errors as one line for the user."""

import errno
import os
import re
import select
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode
from omegaconf.errors import OmegaConfBaseException, ValidationError

from sweeper.cli.advice import flag_advice, vocabulary_of, word_advice
from sweeper.cli.extras import installing
from sweeper.cli.interrupts import exit_code
from sweeper.cli.leftovers import Leftovers
from sweeper.cli.overrides import bare_key
from sweeper.cli.rewording import better_line
from sweeper.cli.shells import leftover_advice, variable_advice
from sweeper.cli.sweeps import comma_advice, has_comma_in_number
from sweeper.cli.typed import check_not_empty, check_overrides, overrides_in
from sweeper.errors import ConfigError, SweeperError
from sweeper.secrets import without_password
from sweeper.text import did_you_mean, in_one_line, printable, shortened

# `raising_errors` sets Hydra's variable for Hydra, and keeps what the user wants in this one, which
# the processes of a study inherit.
OWN_VARIABLE, HYDRAS_VARIABLE = "SWEEPER_FULL_ERROR", "HYDRA_FULL_ERROR"
WANTS_TRACEBACK = os.environ.get(OWN_VARIABLE, os.environ.get(HYDRAS_VARIABLE)) == "1"
"""True if the user has set `HYDRA_FULL_ERROR=1`."""

WORK = (
    "sweeper.run.run",
    "sweeper.training.loop",
    "sweeper.training.scoring",
    "sweeper.sweep.worker_task",
    "sweeper.sweep.ledger",
    "sweeper.sweep.results.results",
    "sweeper.launch.local",
)
"""The modules that train and evaluate. An error in them is no mistake on the command line."""


EXPECTED = {
    IntegerNode: "a valid integer",
    FloatNode: "a valid number",
    BooleanNode: "true or false",
}
"""What the typed keys of Hydra and its plugins take, in the words of the checks of all others."""

OTHERS_OF_HYDRA = ("Config group override must be", "Unknown plugin class")
"""The first words of Hydra's errors of other types."""

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a write to a full disk. They name no file."""

UNREAD = 141
"""The exit code of a command whose output nobody reads, as of one that SIGPIPE ends."""

COMMAND_FLAGS = ("run", "multirun", "cfg", "info", "shell_completion")
"""Hydra's flags of which a command line has at most one."""


@contextmanager
def raising_errors() -> Iterator[None]:
    """Make Hydra raise errors instead of printing them, so that `run_command` words them."""
    before = {name: os.environ.get(name) for name in (OWN_VARIABLE, HYDRAS_VARIABLE)}
    os.environ |= {OWN_VARIABLE: str(int(WANTS_TRACEBACK)), HYDRAS_VARIABLE: "1"}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run_command(command: Callable[[], object], arguments: Sequence[str] | None = None) -> None:
    """Run a command; print one line and exit with 1 after an error that the user can fix.

    If the program that reads the output ends before, as in `| head`, nothing is printed.

    `arguments` are those of a command that has parsed its flags; None is for a command that lets
    Hydra parse those of `sys.argv`.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    leftovers = Leftovers(overrides_in(typed))
    try:
        if arguments is None:
            _check_flags(typed)
        else:
            check_not_empty(typed)
        check_overrides(typed)
        command()
        _drop_unread()
    except KeyboardInterrupt as interrupt:
        sys.exit(exit_code(interrupt))
    except SystemExit:
        leftovers.remove()
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _drop_unread():
            sys.exit(UNREAD)
        message = line_for(error, typed)
        if message is not None:
            leftovers.remove(error)
        if message is None or WANTS_TRACEBACK:
            message = "".join(traceback.format_exception(error)).rstrip()
        _exit_with(message)


def _drop_unread() -> bool:
    """Return whether the program that read the output has ended, and send the rest nowhere then.

    Python would otherwise complain when it ends.
    """
    try:
        output = sys.stdout.fileno()
        poll = select.poll()
    except (AttributeError, OSError, ValueError):  # Windows, or a stream that is no file
        return False
    poll.register(output, 0)
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def exit_with_line(error: Exception) -> None:
    """Print the line for an error and exit with 1; return if the user cannot fix the error.

    A task that Hydra runs calls this, since Hydra prints a line of its own before its error.
    """
    message = line_for(error, sys.argv[1:])
    if message is not None:
        _exit_with(message)


def line_for(error: Exception, arguments: Sequence[str]) -> str | None:
    """Return the line for an error that the user of a command can fix, or None for another one."""
    overrides = overrides_in(arguments)
    message = user_message(error)
    if message is None:
        return _unforeseen(error, overrides)
    if better := _better_line(message, arguments):
        return better
    keys = [bare_key(override) for override in overrides]
    is_ours = isinstance(error, SweeperError) or isinstance(error.__cause__, SweeperError)
    is_ours = is_ours or getattr(error, "errno", None) in FULL_DISK
    if is_ours or not keys or any(key in message for key in keys):
        return message
    return f"{' '.join(overrides)}: {message}"


def _better_line(message: str, arguments: Sequence[str]) -> str | None:
    """Return the line of `better_line`, or None also if the config cannot be read."""
    try:
        line = better_line(message, arguments)
        return line and in_one_line(line)
    except (HydraException, OmegaConfBaseException, OSError):
        return None  # the message is about that


def check_words(overrides: Sequence[str], arguments: Sequence[str] = ()) -> None:
    """Check that each argument that is no flag is an override, and no number with a comma in it.

    Raises:
        ConfigError: one is not; the message says what to type.
    """
    check_not_empty(overrides)
    for override in filter(has_comma_in_number, overrides):
        vocabulary = vocabulary_of(arguments or overrides)
        if line := comma_advice(override, vocabulary.value(override.partition("=")[0])):
            raise ConfigError(line)
    if all("=" in word.lstrip("=") or word.startswith("~") for word in overrides) and not any(
        word.endswith("=") for word in overrides[:-1]
    ):
        return
    line = word_advice(overrides, vocabulary_of(arguments or overrides))
    if line is not None:
        raise ConfigError(in_one_line(line))


def _exit_with(message: str) -> NoReturn:
    sys.stderr.write(printable(without_password(message), newlines=True) + "\n")
    sys.exit(1)


def usage_error(message: str) -> NoReturn:
    """Print the mistake in the use of a command's flags in one line; exit with 2."""
    line = printable(in_one_line(without_password(message)))
    sys.stderr.write(f"{line}; --help shows what to type\n")
    sys.exit(2)


def flag_error(message: str) -> NoReturn:
    """Print what to type in place of a flag that does not exist; exit with 2."""
    unknown = message.partition("unrecognized arguments: ")[2].split()
    flag = next((word for word in unknown if word.startswith("-")), None)
    if match := re.search(r"-(\w)\b.*: ignored explicit argument '(.*)'", message):
        flag = f"-{match[1]}{match[2]}"  # -multirun was read as -m ultirun
    if flag is None or flag not in sys.argv:
        if unknown and all(word in overrides_in(sys.argv[1:]) for word in unknown):
            first, *_ = unknown
            message = f"{first}: overrides stand on both sides of a flag; type all behind the flags"
        usage_error(message)
    after = next(iter(sys.argv[sys.argv.index(flag) + 1 :]), None)
    line = flag_advice(flag, after, vocabulary_of(sys.argv[1:]))
    sys.stderr.write(printable(in_one_line(without_password(line))) + "\n")
    sys.exit(2)


def _check_flags(arguments: Sequence[str]) -> None:
    """Parse the arguments as Hydra does, whose own message about a wrong flag has ten lines."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = flag_error  # type: ignore[method-assign]
    for action in parser._actions:
        if action.dest == "version":
            action.version = f"sweeper {version('sweeper')}"  # type: ignore[attr-defined]
    flags = parser.parse_args(arguments)
    chosen = [flag for flag in COMMAND_FLAGS if getattr(flags, flag)]
    if len(chosen) > 1:
        names = " and ".join("--" + flag for flag in chosen)
        usage_error(f"{names} are different commands; type one of them")
    check_words(flags.overrides, arguments)


def user_message(error: Exception) -> str | None:
    """Return the line to print for an error that the user can fix, or None for other errors.

    The check of a study's search space has a line for each of its points.
    """
    if isinstance(error, SweeperError):
        return str(error)
    if isinstance(error, HydraException) and isinstance(error.__cause__, SweeperError):
        return str(error.__cause__)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        hint = installing(group, option)
        problem = "is not installed" if hint else "there is no such option"
        return f"{group}={option}: {problem}; {hint or did_you_mean(option, error.options)}"
    if isinstance(error, OverrideParseException):
        return _parse_message(error)
    is_hydras = isinstance(error, HydraException | OmegaConfBaseException)
    if is_hydras or str(error).startswith(OTHERS_OF_HYDRA):
        return _composition_message(error)
    if isinstance(error, OSError) and error.filename is not None:
        hint = "; hydra.run.dir=PATH writes to another folder" if _is_hydras(error) else ""
        return f"{error.filename}: {error.strerror}{hint}"
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return f"{error.strerror}; make room, and type the same command again"
    return None


def _parse_message(error: OverrideParseException) -> str:
    """Return a parser's message without its repetition of the override and its drawing."""
    if line := leftover_advice(error.override):
        return line
    lines = [" ".join(line.split()) for line in str(error.message).splitlines()]
    unwanted = ("Error parsing override", "See https:", "^", in_one_line(error.override))
    reason = " ".join(line for line in lines if line and not line.startswith(unwanted))
    reason = re.sub(r" expecting \{.*\}$", "", reason)  # a list of the names of the grammar's parts
    if reason.startswith(("LexerNoViableAlt", "mismatched input '<EOF>'")):  # names of the parser
        reason = ""
    text = f"{error.override}: {reason.rstrip(':') or 'cannot be read'}"
    if "while evaluating" in text:  # a function of the grammar refuses its arguments
        return text
    return (
        f"{text}; type KEY=VALUE, with quotes around a text that has other characters than "
        "letters, digits and -_/.+"
    )


def _composition_message(error: Exception) -> str:
    """Return the message of Hydra or OmegaConf, with the key that it names first."""
    lines = [line.strip() for line in str(error).splitlines()]
    details = ("full_key:", "object_type=", "reference_type=")
    text = " ".join(line for line in lines if line and not line.startswith(details))
    text = in_one_line(text.partition("Config search path:")[0])
    key = next((line.split()[-1] for line in lines if line.startswith("full_key: ")), "")
    merged, hint = text.removeprefix("Error merging override "), _hint(error.__cause__)
    if merged != text:
        return f"{merged}: {hint}" if hint else merged
    text = text if not key or key in text else f"{key}: {text}"
    hint = hint or variable_advice(text)
    return f"{text}; {hint}" if hint else text


def _hint(cause: BaseException | None) -> str:
    """Return the keys that are similar to an unknown one, or the error of a value."""
    if not isinstance(cause, OmegaConfBaseException):
        return ""
    parent = getattr(cause, "parent_node", None)
    keys = _keys(parent) if isinstance(parent, DictConfig) else []
    if isinstance(parent, DictConfig) and str(cause.key) not in keys:
        return did_you_mean(str(cause.key), keys) if keys else ""
    node = getattr(cause, "child_node", None)
    expected = next((text for kind, text in EXPECTED.items() if isinstance(node, kind)), None)
    if expected is not None and isinstance(cause, ValidationError):
        return f"expected {expected}"
    return in_one_line(str(cause).splitlines()[0]) if str(cause) else ""


def _keys(node: DictConfig) -> list[str]:
    """Return the keys of a node, or nothing for a node that is null or an interpolation."""
    try:
        return [str(key) for key in node]
    except (TypeError, OmegaConfBaseException):
        return []


def _unforeseen(error: Exception, overrides: Sequence[str]) -> str | None:
    """Return the line for an error of any type that the overrides led to, before any work began."""
    modules = {frame.f_globals.get("__name__") for frame, _ in _frames(error)}
    if not overrides or modules.intersection(WORK):
        return None
    if sys.flags.optimize:  # its parser moves on within an assert statement
        return (
            f"{' '.join(overrides)}: cannot be used with python -O or PYTHONOPTIMIZE, which leave "
            "out statements that Hydra needs; type the command without them"
        )
    reason = shortened(in_one_line(error), 300)
    cause = f" ({shortened(in_one_line(error.__cause__), 200)})" if error.__cause__ else ""
    return (
        f"{' '.join(overrides)}: cannot be used: {type(error).__name__}: {reason}{cause}; "
        "HYDRA_FULL_ERROR=1 shows where"
    )


def _is_hydras(error: Exception) -> bool:
    """Return whether Hydra called the function of Python's that raised the error."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in _frames(error)]
    own = [module for module in modules if module.startswith(("hydra.", "sweeper."))]
    return bool(own) and own[-1].startswith("hydra.")


def _frames(error: Exception) -> list[tuple[FrameType, int]]:
    return list(traceback.walk_tb(error.__traceback__))
