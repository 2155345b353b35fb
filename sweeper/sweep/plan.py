"""The plan of a study: settings and space, read and checked before the first trial."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner

from sweeper.cli.messages import user_message
from sweeper.errors import ConfigError
from sweeper.sweep.budget import Budget
from sweeper.sweep.compose import Composer
from sweeper.sweep.grid import Grid, full_grid, required_grid
from sweeper.sweep.live import LiveSpace, Params
from sweeper.sweep.points import default_point, user_point
from sweeper.sweep.setting_rules import check_number_of_processes, imported_function
from sweeper.sweep.space import parse_space
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.study import StudyIdentity
from sweeper.sweep.study_settings import DEFAULT_N_TRIALS, StudySettings, read_settings
from sweeper.text import in_one_line

HYDRA_DEFAULT_SWEEP_DIR = "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
LOCAL_LAUNCHER = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"
# Keys, in applications that have them, that steer a study but do not change its runs.
STEERING_KEYS = ("study", "search")


Verify = Callable[[DictConfig], Any]
"""Function that raises a SweeperError for a config that cannot work."""


@dataclass(frozen=True)
class StudyPlan:
    """The study that one command describes.

    `spec` is what the workers receive. The other fields are for the parent process only;
    `initial_points`, by Optuna's names, are enqueued before any point is sampled.
    """

    settings: StudySettings
    live: LiveSpace
    identity: StudyIdentity
    spec: StudySpec
    initial_points: Sequence[Params]


def plan_study(
    keys: Mapping[str, Any], loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]
) -> StudyPlan:
    """Return the study that `keys` (the values of `hydra.sweeper`) and `arguments` describe.

    Raises:
        ConfigError: a setting, the space or an option in it cannot work.
    """
    settings = read_settings(keys)
    verify = imported_function("verify", settings.verify) if settings.verify else None
    if settings.custom_search_space:
        imported_function("custom_search_space", settings.custom_search_space)
    launcher = config.hydra.launcher
    if launcher._target_ == LOCAL_LAUNCHER:
        check_number_of_processes("hydra.launcher.n_jobs", launcher.get("n_jobs"))
    space = parse_space([*settings.params, *arguments], loader, settings.auto)
    live = LiveSpace(space, Composer(loader, config, space))
    if settings.check:
        check_options(live, verify)
    grid = _grid(settings, live)
    identity = _identity(settings, live, is_grid=grid is not None)
    points = [] if grid is not None else _initial_points(settings, live)
    return StudyPlan(
        settings, live, identity, _spec(settings, live, identity, grid, config), points
    )


def _identity(settings: StudySettings, live: LiveSpace, is_grid: bool) -> StudyIdentity:
    fixed = live.space.fixed
    # A grid counts its points, not its trials, so a sampled study cannot continue a grid.
    mode = ("every point of the space",) if is_grid else ()
    return StudyIdentity(
        space=live.describe(),
        directions=settings.directions,
        fixed=(*(line for key, line in fixed.items() if key not in STEERING_KEYS), *mode),
        options=_fixed_options(live),
    )


def _fixed_options(live: LiveSpace) -> dict[str, Any]:
    """Return the chosen option of each config group that the study does not sweep."""
    swept = {p.key.lstrip("+~") for p in live.group_parameters}
    choices = live.composer.option_config(live.first_point()).hydra.runtime.choices
    own = {str(k): v for k, v in choices.items() if not str(k).startswith("hydra/")}
    return {k: v for k, v in own.items() if k not in {*swept, *STEERING_KEYS}}


def _initial_points(settings: StudySettings, live: LiveSpace) -> list[Params]:
    defaults = [default_point(live)] if settings.warm_start else []
    return defaults + [user_point(live, point) for point in settings.enqueue]


def _grid(settings: StudySettings, live: LiveSpace) -> Grid | None:
    if settings.uses_grid_sampler:
        return required_grid(live)
    return None if settings.n_trials or settings.custom_search_space else full_grid(live)


def _spec(
    settings: StudySettings,
    live: LiveSpace,
    identity: StudyIdentity,
    grid: Grid | None,
    config: DictConfig,
) -> StudySpec:
    name = settings.study_name or f"{config.hydra.job.name}-{identity.short_hash()}"
    launcher = config.hydra.launcher._target_
    return StudySpec(
        name=name,
        folder=_folder(config, name),
        space=live.space,
        budget=_budget(settings, grid),
        sampler=settings.sampler,
        pruner=settings.pruner if grid is None or _user_chose_pruner(config) else NopPruner(),
        storage=settings.storage,
        custom_search_space=settings.custom_search_space,
        constraints=settings.constraints,
        observers=settings.observers,
        capture_output=launcher != BASIC_LAUNCHER,
        own_process=launcher != BASIC_LAUNCHER,
        foreign_launcher=launcher not in (BASIC_LAUNCHER, LOCAL_LAUNCHER),
    )


def _user_chose_pruner(config: DictConfig) -> bool:
    """Return whether the command line chooses a pruner; otherwise no point of a grid is pruned."""
    # Unresolved, because an override may refer to values that only a job has.
    lines = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    return any("hydra/sweeper/pruner" in str(line) for line in lines or ())


def _folder(config: DictConfig, name: str) -> Path:
    """Return `hydra.sweep.dir` if the user has set it, and `multirun/<study>` otherwise."""
    unresolved = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(unresolved, dict)
    if unresolved["dir"] == HYDRA_DEFAULT_SWEEP_DIR:
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
        started_at=now,
        max_failures=int(settings.max_failure_rate * (n_trials or DEFAULT_N_TRIALS)),
        max_retries=settings.max_retries,
        lease_seconds=settings.lease_seconds,
        trial_seconds=settings.trial_seconds,
    )


def check_options(live: LiveSpace, verify: Verify | None = None) -> None:
    """Compose a config for every option, for the ends of its space, and for every listed value.

    Each config is then passed to `verify`.

    Raises:
        ConfigError: a config cannot be composed, or `verify` refused it. The message has a line
            for each.
    """
    points = [point for options in live.option_choices() for point in live.probes(options)]
    errors = [(point, _config_error(live, point, verify)) for point in points]
    failed = [(point, error) for point, error in errors if error is not None]
    lines = dict.fromkeys(f"{_point_text(live, point)}: {_reason(e)}" for point, e in failed)
    reasons = {_reason(error) for _, error in failed}
    if len(lines) > 1 and len(failed) == len(points) and len(reasons) == 1:
        lines = dict.fromkeys([f"{reasons.pop()} (at each point of the search space)"])
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


def _point_text(live: LiveSpace, point: Params) -> str:
    return " ".join(live.composer.overrides(point)) or "the default config"
