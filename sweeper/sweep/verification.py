"""The check of a study's configs by the user's function, in a process apart if there is one.

The function builds what a config describes, for which it imports torch. A fork server has imported
torch; the command's own process then need not.
"""

from collections.abc import Callable, Sequence
from functools import partial
from traceback import format_exception
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig

from sweeper.errors import ConfigError
from sweeper.hydra_versions import as_main
from sweeper.launch.apart import call_apart, can_call_apart
from sweeper.secrets import without_password
from sweeper.space.check_options import VerifyAll, reason_of_error, verifying
from sweeper.sweep.settings.setting_rules import imported_function


def verification(
    path: str | None, config: DictConfig, meanwhile: Callable[[], None] = lambda: None
) -> VerifyAll | None:
    """Return what calls the function `hydra.sweeper.verify`; None if `path` names none.

    `config` is Hydra's config of the whole sweep. `meanwhile` is called just before the
    function is called in a process apart, for which this process waits.

    Raises:
        ConfigError: there is no such function. If it is called in a process apart, the returned
            function raises it.
    """
    if path is None:
        return None
    if not can_call_apart() or path.startswith("__main__."):  # no other process has run the script
        return verifying(imported_function("verify", path))
    return partial(_verified_apart, path, config, meanwhile)


def _verified_apart(
    path: str, config: DictConfig, meanwhile: Callable[[], None], configs: Sequence[DictConfig]
) -> Sequence[Exception | None]:
    meanwhile()
    state = Singleton.get_state()
    logs = config.hydra.hydra_logging, config.hydra.verbose
    texts = call_apart(_error_texts, path, state, logs, configs)
    return [None if text is None else _error(*text) for text in texts]


def _error(reason: str, trace: str) -> Exception:
    error = ConfigError(reason)
    error.__cause__ = RuntimeError(trace)
    return error


def _error_texts(
    path: str, singletons: Any, logs: tuple[Any, Any], configs: Sequence[DictConfig]
) -> list[tuple[str, str] | None]:
    """Return the reason and the traceback of the error of each config, None if it can work."""
    setup_globals()
    Singleton.set_state(singletons)
    with as_main():
        configure_log(*logs)
    errors = verifying(imported_function("verify", path))(configs)
    return [None if error is None else _texts(error) for error in errors]


def _texts(error: Exception) -> tuple[str, str]:
    return reason_of_error(error), without_password("".join(format_exception(error)))
