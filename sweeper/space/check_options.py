"""The check that every option and the ends of every parameter give a config, before any trial."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError

from sweeper.cli.messages import user_message
from sweeper.cli.overrides import to_type
from sweeper.errors import ConfigError
from sweeper.space.compose import job_subdir
from sweeper.space.live import LiveSpace, Params
from sweeper.text import in_one_line

Verify = Callable[[DictConfig], Any]
"""Function that raises a SweeperError for a config that cannot work."""

VerifyAll = Callable[[Sequence[DictConfig]], Sequence[Exception | None]]
"""Function that returns the error of each config, or None if it can work."""


def verifying(verify: Verify) -> VerifyAll:
    """Return the function that calls `verify` with one config after another.

    What it logs for several of them is logged once.
    """

    def verify_all(configs: Sequence[DictConfig]) -> Sequence[Exception | None]:
        with _each_line_once():
            return [_error_of(lambda: verify(config)) for config in configs]  # noqa: B023

    return verify_all


class _Once(logging.Filter):
    """Filter that lets a line through when it comes for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        is_new = line not in self._seen
        self._seen.add(line)
        return is_new


@contextmanager
def _each_line_once() -> Iterator[None]:
    """Keep the handlers of the root logger from repeating a line."""
    filters = {handler: _Once() for handler in logging.getLogger().handlers}
    for handler, once in filters.items():
        handler.addFilter(once)
    try:
        yield
    finally:
        for handler, once in filters.items():
            handler.removeFilter(once)


def check_options(
    live: LiveSpace, verify_all: VerifyAll | None = None, has_own_hosts: bool = False
) -> None:
    """Compose a config for every option, for the ends of its space, and for every listed value.

    The configs are then passed to `verify_all`. If `has_own_hosts`, workers may run on other hosts,
    where a variable of the environment may exist that does not exist here.

    Raises:
        ConfigError: a config cannot be composed or names no folder, or `verify_all` refused it. The
            message has a line for each reason.
    """
    points = [point for options in live.option_choices() for point in live.probes(options)]
    errors = _errors(live, points, verify_all, has_own_hosts)
    failed = [(p, e) for p, e in zip(points, errors, strict=True) if e is not None]
    hints = [_whole_hint(live, point) for point, _ in failed]
    points_of: dict[str, list[Params]] = {}
    for (point, error), hint in zip(failed, hints, strict=True):
        reason = reason_of_error(error) + (hint if all(hints) else "")
        points_of.setdefault(reason, []).append(point)
    if len(points_of) == 1 and len(failed) == len(points) > 1:
        lines = [f"{reason_of_error(failed[0][1])} (at each point of the search space)"]
    else:
        lines = [f"{_points_text(live, each)}: {reason}" for reason, each in points_of.items()]
    if lines:
        raise ConfigError("\n".join(lines)) from failed[0][1]


def _whole_hint(live: LiveSpace, point: Params) -> str:
    """Return what to type if a point has a fraction that the key may not take; else nothing."""
    parameters = live.parameters(point).values()
    fractions = [p for p in parameters if p.fraction is not None and p.fraction == point[p.key]]
    return "".join(f"; {to_type(p.whole)}" for p in fractions)


def _errors(
    live: LiveSpace,
    points: Sequence[Params],
    verify_all: VerifyAll | None,
    has_own_hosts: bool,
) -> list[Exception | None]:
    """Return the error of each point, None for those that can work."""
    configs: dict[int, DictConfig] = {}

    def compose(number: int) -> None:
        config = live.composer.compose(points[number], 0, Path())
        try:
            job_subdir(config)  # raises an error if the trial has no folder
        except InterpolationResolutionError as error:
            if not (has_own_hosts and "Environment variable '" in str(error)):
                raise
        configs[number] = config

    errors = [_error_of(lambda: compose(number)) for number in range(len(points))]  # noqa: B023
    if verify_all is not None and configs:
        for number, error in zip(configs, verify_all(list(configs.values())), strict=True):
            errors[number] = error
    return errors


def _error_of(action: Callable[[], Any]) -> Exception | None:
    try:
        action()
    except Exception as error:  # a value may make anything fail that is built from it
        return error
    return None


def reason_of_error(error: Exception) -> str:
    """Return the message of an error in one line."""
    return in_one_line(user_message(error) or f"{type(error).__name__}: {error}")


def _points_text(live: LiveSpace, points: Sequence[Params]) -> str:
    """Return the first of the points, and the number of the others."""
    texts = [" ".join(live.composer.overrides(p)) or "the default config" for p in points]
    n_others = len(dict.fromkeys(texts)) - 1
    return texts[0] + (f" (and {n_others} more)" if n_others else "")
