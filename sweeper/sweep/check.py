"""Composing what a space can choose, before the first trial runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig

from sweeper.errors import ConfigError, SweeperError
from sweeper.sweep.live import LiveSpace, Params

Verify = Callable[[DictConfig], Any]


def check_options(live: LiveSpace, verify: Verify | None = None) -> None:
    """Compose every option with the first and the last values of its space, and each choice.

    `verify` is given each config so composed, and raises a SweeperError for one that cannot work.
    Raises ConfigError listing all that fail, a line each.
    """
    points = [point for chosen in live.choices() for point in live.probes(chosen)]
    faults = [(point, _fault(live, point, verify)) for point in points]
    lines = [f"{_shown(live, point)}: {fault}" for point, fault in faults if fault]
    if lines:
        raise ConfigError("\n".join(dict.fromkeys(lines)))


def _fault(live: LiveSpace, point: Params, verify: Verify | None) -> str | None:
    try:
        config = live.composer.compose(point, 0, Path())
        if verify is not None:
            verify(config)
    except (HydraException, SweeperError) as error:
        return f"{error} ({error.__cause__})" if error.__cause__ else str(error)
    return None


def _shown(live: LiveSpace, point: Params) -> str:
    return " ".join(live.composer.lines(point)) or "the default config"
