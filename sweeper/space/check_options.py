"""The check that every option and the ends of every parameter give a config, before any trial."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sweeper.cli.messages import user_message
from sweeper.errors import ConfigError
from sweeper.space.live import LiveSpace, Params
from sweeper.text import in_one_line

Verify = Callable[[DictConfig], Any]
"""Function that raises a SweeperError for a config that cannot work."""


def check_options(live: LiveSpace, verify: Verify | None = None) -> None:
    """Compose a config for every option, for the ends of its space, and for every listed value.

    Each config is then passed to `verify`.

    Raises:
        ConfigError: a config cannot be composed, or `verify` refused it. The message has a line
            for each reason.
    """
    points = [point for options in live.option_choices() for point in live.probes(options)]
    errors = [(point, _config_error(live, point, verify)) for point in points]
    failed = [(point, error) for point, error in errors if error is not None]
    points_of: dict[str, list[Params]] = {}
    for point, error in failed:
        points_of.setdefault(_reason(error), []).append(point)
    if len(points_of) == 1 and len(failed) == len(points) > 1:
        lines = [f"{_reason(failed[0][1])} (at each point of the search space)"]
    else:
        lines = [f"{_points_text(live, each)}: {reason}" for reason, each in points_of.items()]
    if lines:
        raise ConfigError("\n".join(lines)) from failed[0][1]


def _config_error(live: LiveSpace, point: Params, verify: Verify | None) -> Exception | None:
    try:
        config = live.composer.compose(point, 0, Path())
        if verify is not None:
            verify(config)
    except Exception as error:  # a value may make anything fail that is built from it
        return error
    return None


def _reason(error: Exception) -> str:
    """Return the message of an error in one line."""
    return in_one_line(user_message(error) or f"{type(error).__name__}: {error}")


def _points_text(live: LiveSpace, points: Sequence[Params]) -> str:
    """Return the first of the points, and the number of the others."""
    texts = [" ".join(live.composer.overrides(p)) or "the default config" for p in points]
    n_others = len(dict.fromkeys(texts)) - 1
    return texts[0] + (f" (and {n_others} more)" if n_others else "")
