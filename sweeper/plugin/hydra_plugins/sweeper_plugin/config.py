"""What `hydra/sweeper=sweeper` and `hydra/launcher=local` can be told, and their options.

Keys that the official Optuna plugin has keep its meaning, save that `n_trials` is a study's total.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

PROVIDER = "sweeper_plugin"


@dataclass
class StudySweeperConf:
    """A study: its space, budget, sampler, pruner and storage."""

    _target_: str = "hydra_plugins.sweeper_plugin.sweeper.StudySweeper"
    # Plain lists and mappings: OmegaConf would make configs of observers that are dataclasses.
    _convert_: str = "all"
    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"sampler": "tpe"}, {"pruner": "median"}]
    )

    # How to propose and when to give up: groups hydra/sweeper/sampler and hydra/sweeper/pruner.
    sampler: Any = None
    pruner: Any = None

    # `minimize` or `maximize`, or a list of them where the task returns several values.
    direction: Any = "minimize"

    # A database URL, a path ending in .log, or null: journal.log in the study's folder.
    storage: Any = None

    # Null names the study after the application and its search, so the same command resumes it.
    study_name: str | None = None

    # `resume` an existing study of this name, or set it aside and start a `fresh` one.
    study: str = "resume"

    # The study's total of complete and pruned trials. Null: every point where all of the space is
    # finite, else as many as `timeout` allows, else 20.
    n_trials: int | None = None

    # Wall-clock limit of this command, such as 90s, 10min or 2h.
    timeout: str | None = None

    # Workers: a number, or `auto` for one a GPU, else what cores and memory bear.
    n_jobs: Any = "auto"

    # The share of n_trials that may fail under one command before the study is stopped.
    max_failure_rate: float = 0.5

    # How often a trial whose worker died is taken up again.
    max_retries: int = 3

    # How long a worker on another host may be silent before its trial is taken over.
    lease_seconds: float = 60.0

    # The space: keys and sweeps in Hydra's grammar; the command line adds to it and overrides it.
    params: dict[str, str] | None = None

    # Search what the chosen options' own `search` blocks say. Null: if nothing else is swept.
    auto: bool | None = None

    # A function (config, optuna trial) that may suggest more.
    custom_search_space: str | None = None

    # Make the first trial the default config itself, so that no study ends below it.
    warm_start: bool = True

    # Points to try next, each a mapping of keys to values; other keys are sampled.
    enqueue: list[Any] = field(default_factory=list)

    # Upper bounds of values that the task records with `trial.note`, for the sampler to respect.
    constraints: Any = None

    # Compose every option that the space can choose, with the extremes of its space, before the
    # first trial, and call `verify`, a function (config), on each; a SweeperError of its is shown.
    check: bool = True
    verify: str | None = None

    # Followers of the study, each a `_target_`; see sweeper.sweep.observer.
    observers: list[Any] = field(default_factory=list)


@dataclass
class LocalLauncherConf:
    """Processes on this machine."""

    _target_: str = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"

    # Processes for a sweeper that launches jobs; ours says itself how many workers it wants.
    n_jobs: Any = "auto"


# An application's own seed, where its config has one, makes its studies repeatable.
SEED = "${oc.select:seed,null}"

SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {
        "_target_": "optuna.samplers.TPESampler",
        "seed": SEED,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": True,
        "constant_liar": True,
    },
    "gp": {
        "_target_": "optuna.samplers.GPSampler",
        "seed": SEED,
        "n_startup_trials": 10,
        "deterministic_objective": False,
    },
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": SEED},
    "qmc": {
        "_target_": "optuna.samplers.QMCSampler",
        "qmc_type": "sobol",
        "scramble": True,
        # Workers must draw from one sequence, so this seed is not left open.
        "seed": 0,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    },
    "cmaes": {
        "_target_": "optuna.samplers.CmaEsSampler",
        "seed": SEED,
        "x0": None,
        "sigma0": None,
        "n_startup_trials": 1,
        "consider_pruned_trials": False,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
        "warn_independent_sampling": False,
    },
    "nsgaii": {
        "_target_": "optuna.samplers.NSGAIISampler",
        "seed": SEED,
        "population_size": 50,
        "mutation_prob": None,
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
    },
    "nsgaiii": {
        "_target_": "optuna.samplers.NSGAIIISampler",
        "seed": SEED,
        "population_size": 50,
        "mutation_prob": None,
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
    },
    # Every point once, in order; the study does it itself, which is exact among many workers.
    "grid": {"_target_": "sweeper.sweep.grid.GridSampler"},
    "brute_force": {"_target_": "optuna.samplers.BruteForceSampler", "seed": SEED},
}

PRUNERS: dict[str, dict[str, Any]] = {
    "none": {"_target_": "optuna.pruners.NopPruner"},
    "median": {
        "_target_": "optuna.pruners.MedianPruner",
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "percentile": {
        "_target_": "optuna.pruners.PercentilePruner",
        "percentile": 25.0,
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "asha": {
        "_target_": "optuna.pruners.SuccessiveHalvingPruner",
        "min_resource": "auto",
        "reduction_factor": 4,
        "min_early_stopping_rate": 0,
        "bootstrap_count": 0,
    },
    "hyperband": {
        "_target_": "optuna.pruners.HyperbandPruner",
        "min_resource": 1,
        "max_resource": "auto",
        "reduction_factor": 3,
        "bootstrap_count": 0,
    },
    "patient": {
        "_target_": "optuna.pruners.PatientPruner",
        "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"},
        "patience": 3,
        "min_delta": 0.0,
    },
    "threshold": {
        "_target_": "optuna.pruners.ThresholdPruner",
        "lower": None,
        "upper": None,
        "n_warmup_steps": 0,
        "interval_steps": 1,
    },
    "wilcoxon": {
        "_target_": "optuna.pruners.WilcoxonPruner",
        "p_threshold": 0.1,
        "n_startup_steps": 2,
    },
}


def register() -> None:
    """Make the plugin's options known to every Hydra application."""
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="sweeper", node=StudySweeperConf, provider=PROVIDER)
    store(group="hydra/launcher", name="local", node=LocalLauncherConf, provider=PROVIDER)
    for name, node in SAMPLERS.items():
        partial = {**node, "_partial_": True}
        store(group="hydra/sweeper/sampler", name=name, node=partial, provider=PROVIDER)
    for name, node in PRUNERS.items():
        store(group="hydra/sweeper/pruner", name=name, node=node, provider=PROVIDER)


register()
