"""Composing what a space can choose, before the first trial runs."""

from pathlib import Path

from hydra.errors import HydraException

from sweeper.errors import ConfigError
from sweeper.sweep.live import LiveSpace


def check_options(live: LiveSpace) -> None:
    """Compose every option with the first and the last values of its space.

    Raises ConfigError listing all that do not compose.
    """
    faults = []
    for chosen in live.choices():
        for last in (False, True):
            try:
                live.composer.compose(live.extreme_point(chosen, last), 0, Path())
            except (HydraException, ConfigError) as error:
                cause = f" ({error.__cause__})" if error.__cause__ else ""
                faults.append(f"{error}{cause}")
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))
