"""The values of `hydra.sweeper`, checked and converted."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

from omegaconf import OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from sweeper.errors import ConfigError
from sweeper.sweep.grid import GridSampler
from sweeper.sweep.observer import Observers
from sweeper.sweep.setting_rules import check_rules, refused
from sweeper.sweep.spec import SamplerRecipe
from sweeper.text import in_one_line

SECONDS_PER_UNIT = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
DEFAULT_N_TRIALS = 20
MAX_NAME_BYTES = 200  # A file system takes 255; the folder of a fresh study appends the time.
# Optuna imports these packages only when a trial is sampled.
NEEDED_PACKAGES = {"CmaEsSampler": "cmaes", "GPSampler": "torch", "QMCSampler": "scipy"}


@dataclass(frozen=True)
class StudySettings:
    """The settings that the user chose; config.py of the plugin documents each of them.

    `fresh` is True for `study=fresh`.
    """

    directions: tuple[str, ...]
    sampler: SamplerRecipe
    pruner: BasePruner
    storage: Any
    study_name: str | None
    fresh: bool
    join: bool
    n_trials: int | None
    timeout_seconds: float | None
    trial_seconds: float | None
    n_jobs: int | str
    max_failure_rate: float
    max_retries: int
    lease_seconds: float
    params: Sequence[str]
    auto: bool | None
    custom_search_space: str | None
    warm_start: bool
    check: bool
    verify: str | None
    enqueue: Sequence[Mapping[str, Any]] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)
    observers: Observers = field(default_factory=Observers)

    @property
    def uses_grid_sampler(self) -> bool:
        """True if the user chose the grid sampler."""
        return getattr(self.sampler.make, "func", type(self.sampler.make)) is GridSampler


def read_settings(keys: Mapping[str, Any]) -> StudySettings:
    """Return the checked settings in `keys`, the values of `hydra.sweeper`.

    Raises:
        ConfigError: a value is invalid.
    """
    keys = {k: _plain(v) for k, v in keys.items()}
    check_rules(keys)
    return StudySettings(
        directions=_directions(keys["direction"]),
        sampler=_sampler(keys["sampler"]),
        pruner=_pruner(keys["pruner"]),
        storage=keys["storage"],
        study_name=_study_name(keys["study_name"]),
        fresh=keys["study"] == "fresh" and not keys["join"],
        join=keys["join"],
        n_trials=keys["n_trials"],
        timeout_seconds=parse_seconds(keys["timeout"]),
        trial_seconds=parse_seconds(keys["trial_timeout"], "trial_timeout"),
        n_jobs="auto" if keys["n_jobs"] == -1 else keys["n_jobs"],
        max_failure_rate=float(keys["max_failure_rate"]),
        max_retries=keys["max_retries"],
        lease_seconds=float(keys["lease_seconds"]),
        params=[f"{k}={v}" for k, v in (keys["params"] or {}).items()],
        auto=keys["auto"],
        custom_search_space=keys["custom_search_space"],
        warm_start=keys["warm_start"],
        check=keys["check"],
        verify=keys["verify"],
        enqueue=keys["enqueue"],
        constraints={k: float(v) for k, v in (keys["constraints"] or {}).items()},
        observers=Observers(tuple(keys["observers"] or ())),
    )


def parse_seconds(text: str | float | None, key: str = "timeout") -> float | None:
    """Return the seconds in `90s`, `10min`, `2h` or a plain number; return None for None.

    `key` is the key below `hydra.sweeper`, for the message.

    Raises:
        ConfigError: the text is not a duration.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text))
    if match is None or (match[2] or "s") not in SECONDS_PER_UNIT:
        must = "a duration, such as 90s, 10min or 2h, or null"
        raise refused(key, text, must, f"type hydra.sweeper.{key}=10min")
    return float(match[1]) * SECONDS_PER_UNIT[match[2] or "s"]


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _directions(value: Any) -> tuple[str, ...]:
    directions = value if isinstance(value, list) else [value]
    return tuple(str(getattr(d, "name", d)) for d in directions)


def _sampler(make: Any) -> SamplerRecipe:
    if not isinstance(make, BaseSampler) and not callable(make):
        hint = "choose one with hydra/sweeper/sampler=NAME"
        raise refused("sampler", make, "an Optuna sampler", hint)
    package = NEEDED_PACKAGES.get(getattr(make, "func", type(make)).__name__)
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"hydra.sweeper.sampler: needs the package {package}; type pip install {package}"
        )
    recipe = SamplerRecipe(make)
    try:
        sampler = recipe.sampler()
    except Exception as error:  # samplers check their arguments with errors of several types
        reason = in_one_line(error)
        raise ConfigError(f"hydra.sweeper.sampler: cannot be created: {reason}") from error
    if not isinstance(sampler, BaseSampler):
        hint = "choose one with hydra/sweeper/sampler=NAME"
        raise refused("sampler", sampler, "an Optuna sampler", hint)
    return recipe


def _pruner(value: Any) -> BasePruner:
    if not isinstance(value, BasePruner):
        hint = "choose one with hydra/sweeper/pruner=NAME"
        raise refused("pruner", value, "an Optuna pruner", hint)
    return value


def _study_name(value: str | None) -> str | None:
    """Return the name if the folder of that name lies in `multirun/`."""
    if value is None:
        return None
    path = PurePath(value)
    is_long = any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in path.parts)
    is_elsewhere = not path.parts or path.is_absolute() or ".." in path.parts
    if is_long or is_elsewhere or not value.isprintable():
        hint = "type one such as my_study; hydra.sweep.dir=PATH puts a study elsewhere"
        raise refused("study_name", value, "the name of a folder", hint)
    return value
