"""The options of `hydra/sweeper=sweeper` and `hydra/launcher=local`, with their default values.

Keys that the official Optuna sweeper also has mean the same here, with one exception: `n_trials`
is the total of the study, not of one command.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

PROVIDER = "sweeper_plugin"


@dataclass
class StudySweeperConf:
    """Settings of a study: search space, budget, sampler, pruner and storage."""

    _target_: str = "hydra_plugins.sweeper_plugin.sweeper.StudySweeper"
    # Plain lists and mappings: OmegaConf would turn observers that are dataclasses into configs.
    _convert_: str = "all"
    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"sampler": "tpe"}, {"pruner": "median"}]
    )

    # The sampler proposes parameters, the pruner stops weak trials. Choose them with
    # hydra/sweeper/sampler=NAME and hydra/sweeper/pruner=NAME.
    sampler: Any = None
    pruner: Any = None

    # `minimize` or `maximize`; a list of them if the task returns several values.
    direction: Any = "minimize"

    # A database URL, or the path of a journal file that ends in .log. Null: journal.log in the
    # study's folder.
    storage: Any = None

    # Name of the study. Null: derived from the application's name, the search space and the fixed
    # options, so that the same command resumes the same study.
    study_name: str | None = None

    # `resume`: continue an existing study with this name. `fresh`: rename it and start a new one.
    study: str = "resume"

    # True: run trials of a study that another command has started, and leave its results to that
    # command. `python -m sweeper.worker` sets it.
    join: bool = False

    # Number of complete and pruned trials at which the study ends. Null: every point of a finite
    # space; otherwise as many trials as `timeout` allows; without a `timeout`, 20.
    n_trials: int | None = None

    # Time limit of this command, such as 90s, 10min or 2h. Running trials are saved and put back
    # into the study when it is reached. Null: no limit.
    timeout: str | None = None

    # Time limit of an attempt at a trial, such as 10min. A trial that takes longer fails; if it
    # hangs, its process is ended. Null: no limit.
    trial_timeout: str | None = None

    # Number of workers. `auto`: one per GPU; without GPUs, one per core as far as memory allows.
    n_jobs: Any = "auto"

    # Largest fraction of n_trials that may fail under one command. Beyond it the study stops.
    max_failure_rate: float = 0.5

    # How many times in a row a trial is run again because its worker died before the trial made
    # progress. Then it fails.
    max_retries: int = 3

    # Seconds without a sign of life from a worker on another host, after which another worker
    # takes over its trial. The clocks of the hosts need not agree.
    lease_seconds: float = 60.0

    # Search space: a mapping of config keys to sweeps in Hydra's grammar, such as
    # {optimizer.lr: "interval(0.001, 0.1)"}. Overrides on the command line take precedence.
    params: dict[str, str] | None = None

    # True: also search the `search` blocks of the chosen options. False: ignore them. Null: search
    # them only if neither `params` nor the command line sweeps anything.
    auto: bool | None = None

    # Import path of a function (config, optuna trial) that suggests further parameters.
    custom_search_space: str | None = None

    # Run the default config as the first trial, so that the best trial is never worse than it.
    warm_start: bool = True

    # Points to try before others: a list of mappings of config keys to values. Keys that a point
    # does not have are sampled.
    enqueue: list[Any] = field(default_factory=list)

    # Upper bounds for values that the task records with `trial.note`: a mapping of their keys to
    # numbers. A trial above a bound is stopped, and the sampler avoids such trials.
    constraints: Any = None

    # Before the first trial, compose a config for every option and for the ends of every
    # parameter's range, and stop if one cannot be composed.
    check: bool = True

    # Import path of a function (config) that `check` calls with each of these configs. It raises
    # a SweeperError for a config that cannot work.
    verify: str | None = None

    # Objects that are called when the study and its trials start and end, each a `_target_`. Their
    # methods are those of sweeper.sweep.observer.Observer.
    observers: list[Any] = field(default_factory=list)


@dataclass
class LocalLauncherConf:
    """Settings of the launcher that runs jobs in processes on this machine."""

    _target_: str = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"

    # Number of processes, or `auto`; see hydra.sweeper.n_jobs, which counts instead in a study.
    n_jobs: Any = "auto"


# Samplers use the application's own `seed`, if its config has one, so that studies can be repeated.
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
        # All workers draw from one sequence, so they need the same seed.
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
    # The study itself gives each trial its point, in order, so that all workers together run each
    # point once.
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
    """Register the plugin's options in Hydra's config store."""
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="sweeper", node=StudySweeperConf, provider=PROVIDER)
    store(group="hydra/launcher", name="local", node=LocalLauncherConf, provider=PROVIDER)
    for name, node in SAMPLERS.items():
        partial = {**node, "_partial_": True}
        store(group="hydra/sweeper/sampler", name=name, node=partial, provider=PROVIDER)
    for name, node in PRUNERS.items():
        store(group="hydra/sweeper/pruner", name=name, node=node, provider=PROVIDER)


register()
