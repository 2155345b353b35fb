"""The plan of a study: settings and space, read and checked before the first trial."""

import copy
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweeper.cli.messages import user_message
from sweeper.cli.typed import CHECKS, unusable_folder
from sweeper.errors import ConfigError
from sweeper.hydra_settings import LocalLauncherConf
from sweeper.interpolations import referred
from sweeper.launch.resources import n_workers
from sweeper.space.check_options import check_options
from sweeper.space.compose import Composer
from sweeper.space.grid import Grid, all_points, full_grid, required_grid
from sweeper.space.live import LiveSpace
from sweeper.space.space import parse_space
from sweeper.sweep.attempt import SEED_KEY, first_seed
from sweeper.sweep.budget import Budget
from sweeper.sweep.elsewhere.elsewhere import EVERY_POINT, Elsewhere
from sweeper.sweep.finals.stage import FinalStage
from sweeper.sweep.identity import StudyIdentity, study_identity
from sweeper.sweep.points import FirstPoints, default_point, user_point
from sweeper.sweep.settings.dry_run import check_search
from sweeper.sweep.settings.pruning import promotion_of, study_pruner, with_numbers
from sweeper.sweep.settings.setting_rules import (
    check_number_of_processes,
    check_shared,
    imported_function,
)
from sweeper.sweep.settings.study_settings import (
    DEFAULT_FAILURE_RATE,
    DEFAULT_N_TRIALS,
    StudySettings,
    read_settings,
)
from sweeper.sweep.spec import StudySpec
from sweeper.sweep.storage import JOURNAL
from sweeper.sweep.storage_place import is_at
from sweeper.sweep.verification import verification

log = logging.getLogger(__name__)
HYDRA_DEFAULT_SWEEP_DIR = "multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}"
NOW = "now"
"""Hydra's resolver of times. OmegaConf keeps what it returns, so that a time stays the same."""

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
OWN_LAUNCHERS = (BASIC_LAUNCHER, LocalLauncherConf._target_)
"""The launchers whose workers are processes of this host, with its environment."""

RESUMED = (
    *("optimizer", "scheduler", "loss", "data.batch_size", "trainer.accumulate"),
    *("data.image_size", "data.resize", "data.background"),
    *("data.mean", "data.std", "data.eval_transform"),
    *("trainer.freeze", "trainer.unfreeze_at", "trainer.lr_scale"),
    *("trainer.train_limit", "trainer.val_limit", "trainer.test_limit"),
)
"""What a run has in common with the checkpoint that it resumes from, as keys of the config.

`identity` of `training/resumption.py` and `run/start.py` compare the values.
"""


@dataclass(frozen=True)
class StudyPlan:
    """The study that one command describes.

    `spec` is what the workers receive. The other fields are for the parent process only;
    the study gets `initial_points` before any point is sampled.
    """

    settings: StudySettings
    live: LiveSpace
    identity: StudyIdentity
    spec: StudySpec
    initial_points: FirstPoints


def plan_study(
    keys: Mapping[str, Any],
    loader: ConfigLoader,
    config: DictConfig,
    arguments: Sequence[str],
    meanwhile: Callable[[], None] = lambda: None,
) -> StudyPlan:
    """Return the study that `keys` (the values of `hydra.sweeper`) and `arguments` describe.

    `meanwhile` is called when another process begins to check configs.

    Raises:
        ConfigError: a setting, the space or an option in it cannot work.
    """
    settings = read_settings(keys)
    if settings.conclude:
        imported_function("conclude", settings.conclude)
    if settings.custom_search_space:
        imported_function("custom_search_space", settings.custom_search_space)
    launcher = config.hydra.launcher
    if launcher._target_ == LocalLauncherConf._target_:
        check_number_of_processes("hydra.launcher.n_jobs", launcher.get("n_jobs"))
    check_shared(settings.storage, in_one_process=launcher._target_ == BASIC_LAUNCHER)
    space = parse_space([*settings.params, *arguments], loader, settings.auto)
    live = LiveSpace(space, Composer(loader, config, space))
    if settings.check:
        verify_all = verification(settings.verify, config, meanwhile)
        check_options(live, verify_all, launcher._target_ not in OWN_LAUNCHERS)
    settings = replace(settings, growing=growing_keys(settings, live))
    grid = _grid(settings, live)
    for key, value, none in _settings_of_seeds(settings):
        if live.space.parameters.keys() & {SEED_KEY, f"+{SEED_KEY}"}:
            raise ConfigError(
                f"hydra.sweeper.{key}={value}: each trial gets its own seeds, so {SEED_KEY} cannot "
                f"be swept; leave it out, or type hydra.sweeper.{key}={none}"
            )
        first_seed(live.composer.option_config(live.first_point()), key)
    identity = study_identity(settings, live, is_grid=grid is not None)
    spec = _spec(settings, live, identity, grid, config)
    if settings.check:
        check_search(spec.sampler, spec.pruner, settings.directions, live)
    points = _initial_points(settings, live, is_grid=grid is not None)
    if not settings.join:
        elsewhere = Elsewhere(live, spec, settings.directions, _metrics(settings, config))
        points += elsewhere.take(settings.enqueue_from, settings.fresh)
    return StudyPlan(_with_workers(settings), live, identity, spec, points)


def growing_keys(settings: StudySettings, live: LiveSpace) -> list[str]:
    """Return the keys whose number may grow whichever options a trial chooses.

    The command's own config has the default option of a swept group. Another one may name fewer
    keys, such as a schedule that ends with the run. A number to which one of `RESUMED` refers may
    not grow: no trial resumes with another setting than it began with.
    """
    named, fixed = list[Any](), set[str]()
    for config in map(live.composer.option_config, live.option_choices()):
        keys = _select(config, "hydra.sweeper.growing")
        named.append(settings.growing if keys is None else keys)
        fixed |= referred(config, RESUMED)
    first, *others = named
    shared = [key for key in first if isinstance(key, str) and all(key in keys for keys in others)]
    return [key for key in shared if not any(f"{key}.".startswith(f"{name}.") for name in fixed)]


def _settings_of_seeds(settings: StudySettings) -> Iterator[tuple[str, int, str]]:
    """Yield the settings that train trials with several seeds, and the value that does not."""
    if settings.repeats > 1:
        yield "repeats", settings.repeats, "1"
    if settings.finalists is not None:
        yield "finalists", settings.finalists, "null"


def _with_workers(settings: StudySettings) -> StudySettings:
    """Return the settings with the number of workers, if they are to share GPUs."""
    if settings.n_jobs != "auto" or settings.trials_per_gpu == 1:
        return settings
    return replace(settings, n_jobs=n_workers("auto", settings.trials_per_gpu))


def _metrics(settings: StudySettings, config: DictConfig) -> list[str]:
    """Return the names of the objectives: those of the study, else the config's own `metric`."""
    metric = settings.objectives.names or _select(config, "metric")
    names = [metric] if isinstance(metric, str) else metric
    is_named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return list(names) if is_named else []


def _select(config: DictConfig, key: str) -> Any:
    """Return a resolved value of the config, or None if it has none yet."""
    try:
        value = OmegaConf.select(config, key)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:
        return None


def _initial_points(settings: StudySettings, live: LiveSpace, is_grid: bool) -> FirstPoints:
    is_open = settings.custom_search_space is not None
    points = [user_point(live, point, is_open) for point in settings.enqueue]
    if is_grid and points and not settings.join:
        log.info("hydra.sweeper.enqueue: %s, so nothing is added", EVERY_POINT)
    defaults = [default_point(live)] if settings.warm_start else []
    return FirstPoints() if is_grid else FirstPoints([*defaults, *points])


def _grid(settings: StudySettings, live: LiveSpace) -> Grid | None:
    if settings.sampler.is_grid and settings.custom_search_space:
        raise ConfigError(
            "hydra/sweeper/sampler=grid: cannot list the points of hydra.sweeper."
            "custom_search_space; type hydra/sweeper/sampler=brute_force"
        )
    if settings.sampler.is_grid:
        return required_grid(live)
    return None if settings.n_trials or settings.custom_search_space else full_grid(live)


def _spec(
    settings: StudySettings,
    live: LiveSpace,
    identity: StudyIdentity,
    grid: Grid | None,
    config: DictConfig,
) -> StudySpec:
    job = _job_name(config)
    name = settings.study_name or f"{job}-{identity.short_hash()}"
    folder = _folder(config, name)
    launcher = config.hydra.launcher._target_
    pruner = study_pruner(settings.pruner, config, settings.directions, grid is not None)
    promotion = promotion_of(
        pruner,
        settings.directions,
        settings.resumable,
        n_finalists=settings.finalists or 0,
        repeats=settings.repeats,
    )
    promotion = with_numbers(promotion, live, settings.growing)
    return StudySpec(
        name=name,
        folder=folder,
        space=live.space,
        budget=replace(_budget(settings, live, grid), promotion=promotion),
        sampler=settings.sampler,
        pruner=pruner,
        storage=None if is_at(settings.storage, folder / JOURNAL) else settings.storage,
        custom_search_space=settings.custom_search_space,
        constraints=settings.constraints,
        observers=settings.observers,
        objectives=settings.objectives,
        repeats=settings.repeats,
        growing=tuple(settings.growing),
        finals=_finals(settings, live),
        own_process=launcher != BASIC_LAUNCHER,
        foreign_launcher=launcher not in OWN_LAUNCHERS,
    )


def _finals(settings: StudySettings, live: LiveSpace) -> FinalStage:
    seeds = range(0)
    if settings.finalists is not None:
        config = live.composer.option_config(live.first_point())
        first = first_seed(config, "finalists") + settings.repeats
        seeds = range(first, first + settings.finalist_seeds)
    return FinalStage(
        n_finalists=settings.finalists or 0,
        seeds=tuple(seeds),
        conclude=settings.conclude,
        choice=settings.best,
        may_miss_points=settings.max_failure_rate is not None,
    )


def _job_name(config: DictConfig) -> str:
    """Return the name of Hydra's job, which is also that of its log file.

    Raises:
        ConfigError: it cannot be the name of a file.
    """
    name = _hydras(config, "job", "name")
    if problem := CHECKS["hydra.job.name"](name):
        raise ConfigError(f"hydra.job.name={name}: {problem}")
    return name


def _hydras(config: DictConfig, group: str, key: str) -> str:
    """Return a text of Hydra's own config.

    Raises:
        ConfigError: it cannot be resolved.
    """
    try:
        return str(config.hydra[group][key])
    except OmegaConfBaseException as error:
        raise ConfigError(f"{user_message(error)}; type a plain value") from error


def _folder(config: DictConfig, name: str) -> Path:
    """Return the folder of the study: `hydra.sweep.dir`, with the study's name for any time in it.

    With a time, as in Hydra's default, each command would have a folder, and so a study, of its
    own. The part of the path from the first time on is replaced: `multirun/<study>`. The time may
    also come from another key, or be the default of a variable.

    Raises:
        ConfigError: it cannot be a folder, or nothing can be written to it.
    """
    copied = copy.deepcopy(config)
    text = _hydras(copied, "sweep", "dir")
    # With other times in OmegaConf's cache, the path differs from the first time on.
    cache = OmegaConf.get_cache(copied)
    cache[NOW] = dict.fromkeys(cache.get(NOW, ()), "<time>")
    marked = _hydras(copied, "sweep", "dir")
    if marked != text:
        before = os.path.commonprefix([text, marked])
        folder = Path(before[: before.rfind("/") + 1]) / name
        if config.hydra.sweep._get_node("dir")._value() != HYDRA_DEFAULT_SWEEP_DIR:
            log.info(
                "The folder of the study is %s, without the time in hydra.sweep.dir, so that the "
                "same command resumes it",
                folder,
            )
    else:
        folder = Path(text)
    if problem := unusable_folder(folder):
        raise ConfigError(f"{folder}, the folder of the study: {problem} with hydra.sweep.dir=PATH")
    return folder.absolute()


def _budget(settings: StudySettings, live: LiveSpace, grid: Grid | None) -> Budget:
    n_trials, timeout, now = settings.n_trials, settings.timeout_seconds, time.time()
    points = grid if grid is not None or settings.custom_search_space else all_points(live)
    n_points = None if points is None else len(points)
    ends_by_itself = timeout is not None or (settings.stop and settings.stop.patience)
    if grid is None and n_trials is None and not ends_by_itself:
        n_trials = DEFAULT_N_TRIALS
    if n_points is not None:
        n_trials = min(n_points, n_trials or n_points)
    failure_rate = DEFAULT_FAILURE_RATE
    if settings.max_failure_rate is not None:
        failure_rate = settings.max_failure_rate
    return Budget(
        n_trials=n_trials,
        exhaustive=grid is not None,
        deadline=None if timeout is None else now + timeout,
        max_failure_rate=failure_rate,
        max_retries=settings.max_retries,
        lease_seconds=settings.lease_seconds,
        trial_seconds=settings.trial_seconds,
        n_points=n_points,
        stop=settings.stop,
    )
