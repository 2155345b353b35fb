"""The values of `hydra.sweeper`, checked and converted."""

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
from sweeper.sweep.spec import SamplerRecipe
from sweeper.text import printable

SECONDS_PER_UNIT = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
DEFAULT_N_TRIALS = 20
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
    n_trials: int | None
    timeout_seconds: float | None
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
    return StudySettings(
        directions=_directions(keys["direction"]),
        sampler=_sampler(keys["sampler"]),
        pruner=_pruner(keys["pruner"]),
        storage=keys["storage"],
        study_name=_study_name(keys["study_name"]),
        fresh=_one_of("study", keys["study"], ("resume", "fresh")) == "fresh",
        n_trials=_positive("n_trials", keys["n_trials"]),
        timeout_seconds=parse_seconds(keys["timeout"]),
        n_jobs=_n_jobs(keys["n_jobs"]),
        max_failure_rate=_rate(keys["max_failure_rate"]),
        max_retries=int(keys["max_retries"]),
        lease_seconds=float(keys["lease_seconds"]),
        params=[f"{k}={v}" for k, v in (keys["params"] or {}).items()],
        auto=keys["auto"],
        custom_search_space=keys["custom_search_space"],
        warm_start=keys["warm_start"],
        check=keys["check"],
        verify=keys["verify"],
        enqueue=_points(keys["enqueue"]),
        constraints={k: float(v) for k, v in (keys["constraints"] or {}).items()},
        observers=Observers(tuple(keys["observers"] or ())),
    )


def parse_seconds(text: str | float | None) -> float | None:
    """Return the seconds in `90s`, `10min`, `2h` or a plain number; return None for None.

    Raises:
        ConfigError: the text is not a duration.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(text))
    if match is None or (match[2] or "s") not in SECONDS_PER_UNIT:
        raise ConfigError(
            f"hydra.sweeper.timeout={text}: must be a duration, such as 90s, 10min or 2h"
        )
    return float(match[1]) * SECONDS_PER_UNIT[match[2] or "s"]


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _directions(value: Any) -> tuple[str, ...]:
    directions = value if isinstance(value, list) else [value]
    names = tuple(str(getattr(d, "name", d)) for d in directions)
    for name in names:
        _one_of("direction", name, ("minimize", "maximize"))
    return names


def _sampler(make: Any) -> SamplerRecipe:
    if not isinstance(make, BaseSampler) and not callable(make):
        raise ConfigError(
            f"hydra.sweeper.sampler={make!r}: must be an Optuna sampler; "
            "choose one with hydra/sweeper/sampler=NAME"
        )
    package = NEEDED_PACKAGES.get(getattr(make, "func", type(make)).__name__)
    if package is not None and find_spec(package) is None:
        raise ConfigError(
            f"hydra.sweeper.sampler: needs the package {package}; type pip install {package}"
        )
    recipe = SamplerRecipe(make)
    try:
        recipe.sampler()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"hydra.sweeper.sampler: cannot be created: {error}") from error
    return recipe


def _pruner(value: Any) -> BasePruner:
    if not isinstance(value, BasePruner):
        raise ConfigError(
            f"hydra.sweeper.pruner={value!r}: must be an Optuna pruner; "
            "choose one with hydra/sweeper/pruner=NAME"
        )
    return value


def _one_of(key: str, value: Any, names: Sequence[str]) -> str:
    if value not in names:
        raise ConfigError(f"hydra.sweeper.{key}={value}: must be one of {', '.join(names)}")
    return str(value)


def _study_name(value: str | None) -> str | None:
    """Return the name if the folder of that name lies in `multirun/`."""
    if value is None:
        return None
    path = PurePath(value)
    if not path.parts or path.is_absolute() or ".." in path.parts or not value.isprintable():
        raise ConfigError(
            f"hydra.sweeper.study_name={printable(value)}: must be the name of a folder, such as "
            "my_study; hydra.sweep.dir=PATH puts a study elsewhere"
        )
    return value


def _positive(key: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigError(f"hydra.sweeper.{key}={value}: must be at least 1")
    return value


def _n_jobs(value: Any) -> int | str:
    if value in ("auto", -1):
        return "auto"
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"hydra.sweeper.n_jobs={value}: must be auto or a number of at least 1")
    return value


def _rate(value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(f"hydra.sweeper.max_failure_rate={value}: must be between 0 and 1")
    return float(value)


def _points(points: Any) -> list[dict[str, Any]]:
    if not isinstance(points, list) or not all(isinstance(p, dict) for p in points):
        raise ConfigError(
            f"hydra.sweeper.enqueue={points}: must be a list of points, "
            "such as [{optimizer.lr: 0.1}]"
        )
    return points
