"""A study before its first trial: settings and space read, checked, and made into a plan."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner

from sweeper.errors import ConfigError, SweeperError
from sweeper.sweep.budget import Budget
from sweeper.sweep.compose import Composer
from sweeper.sweep.grid import Grid, full_grid, required_grid
from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.points import default_point, named_point
from sweeper.sweep.space import parse_space
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.study import Search
from sweeper.sweep.study_settings import DEFAULT_N_TRIALS, StudySettings, read_settings

HYDRAS_SWEEP_DIR = "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}"
LOCAL_LAUNCHER = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"
# Overrides that steer a study rather than belong to its runs, in applications that have them.
STEERING_KEYS = ("study", "search")


Verify = Callable[[DictConfig], Any]
"""Raises a SweeperError for a config that cannot work."""


@dataclass(frozen=True)
class StudyPlan:
    """One command's study: what workers are told, and what only the sweeper needs."""

    settings: StudySettings
    live: LiveSpace
    search: Search
    spec: StudySpec
    points: Sequence[Params]


def plan_study(
    keys: Mapping[str, Any], loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]
) -> StudyPlan:
    """Read `hydra.sweeper` and the command line. Raises ConfigError for what cannot work."""
    settings = read_settings(keys)
    space = parse_space([*settings.params, *arguments], loader, settings.auto)
    live = LiveSpace(space, Composer(loader, config, space))
    if settings.check:
        check_options(live, get_method(settings.verify) if settings.verify else None)
    grid = _grid(settings, live)
    search = _search(settings, live, whole=grid is not None)
    points = [] if grid is not None else _points(settings, live)
    return StudyPlan(settings, live, search, _spec(settings, live, search, grid, config), points)


def _search(settings: StudySettings, live: LiveSpace, whole: bool) -> Search:
    fixed = live.space.fixed
    # Points of a grid and sampled ones are counted differently, so neither continues the other.
    mode = ("every point of the space",) if whole else ()
    return Search(
        space=live.describe(),
        directions=settings.directions,
        fixed=(*(line for key, line in fixed.items() if key not in STEERING_KEYS), *mode),
        options=_options(live),
    )


def _options(live: LiveSpace) -> dict[str, Any]:
    """Return the config groups' choices that the study does not sweep."""
    swept = {p.key.lstrip("+~") for p in live.groups}
    choices = live.composer.base(live.first_point()).hydra.runtime.choices
    kept = {str(k): v for k, v in choices.items() if not str(k).startswith("hydra/")}
    return {k: v for k, v in kept.items() if k not in {*swept, *STEERING_KEYS}}


def _points(settings: StudySettings, live: LiveSpace) -> list[Params]:
    defaults = [default_point(live)] if settings.warm_start else []
    return defaults + [named_point(live, point) for point in settings.enqueue]


def _grid(settings: StudySettings, live: LiveSpace) -> Grid | None:
    if settings.wants_grid:
        return required_grid(live)
    return None if settings.n_trials or settings.extend_space else full_grid(live)


def _spec(
    settings: StudySettings, live: LiveSpace, search: Search, grid: Grid | None, config: DictConfig
) -> StudySpec:
    name = settings.study_name or f"{config.hydra.job.name}-{search.short_hash()}"
    return StudySpec(
        name=name,
        folder=_folder(config, name),
        space=live.space,
        budget=_budget(settings, grid),
        sampler=settings.sampler,
        pruner=settings.pruner if grid is None or _names_pruner(config) else NopPruner(),
        storage=settings.storage,
        extend_space=settings.extend_space,
        constraints=settings.constraints,
        observers=settings.observers,
        capture_output=config.hydra.launcher._target_ == LOCAL_LAUNCHER,
    )


def _names_pruner(config: DictConfig) -> bool:
    """Tell whether the command names a pruner; without one, a grid's points all run to the end."""
    # Unresolved: an override may refer to what is known of a job only.
    lines = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    return any("hydra/sweeper/pruner" in str(line) for line in lines or ())


def _folder(config: DictConfig, name: str) -> Path:
    """Return `hydra.sweep.dir` where the user set one, else `multirun/<study>`."""
    raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    if raw["dir"] == HYDRAS_SWEEP_DIR:
        return (Path("multirun") / name).absolute()
    return Path(str(config.hydra.sweep.dir)).absolute()


def _budget(settings: StudySettings, grid: Grid | None) -> Budget:
    n_trials, timeout, now = settings.n_trials, settings.timeout_seconds, time.time()
    if grid is not None:
        n_trials = min(len(grid), n_trials or len(grid))
    elif n_trials is None and timeout is None:
        n_trials = DEFAULT_N_TRIALS
    return Budget(
        n_trials=n_trials,
        exhaustive=grid is not None,
        deadline=None if timeout is None else now + timeout,
        since=now,
        max_failures=int(settings.max_failure_rate * (n_trials or DEFAULT_N_TRIALS)),
        max_retries=settings.max_retries,
        lease_seconds=settings.lease_seconds,
    )


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
