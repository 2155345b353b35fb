"""The options of `hydra/sweeper=sweeper` and `hydra/launcher=local`, with their default values.

Keys that the official Optuna sweeper also has mean the same here as far as possible.
docs/coming_from_hydra_optuna_sweeper.md lists the keys that mean something else here.
"""

from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

PROVIDER = "sweeper_plugin"


@dataclass
class StudySweeperConf:
    """Settings of a study: search space, budget, sampler, pruner and storage."""

    _target_: str = "hydra_plugins.sweeper_plugin.sweeper.StudySweeper"
    # Plain lists and mappings: OmegaConf would turn observers that are dataclasses into configs.
    _convert_: str = "all"
    # Workers receive the sampler and the pruner as nodes, since Hydra's partials cannot be pickled.
    _recursive_: bool = False
    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"sampler": "tpe"}, {"pruner": "promotion"}]
    )

    # The sampler proposes parameters, the pruner stops weak trials. Choose them with
    # hydra/sweeper/sampler=NAME and hydra/sweeper/pruner=NAME.
    sampler: Any = None
    pruner: Any = None

    # `minimize` or `maximize`; a list of them if the task returns several values.
    direction: Any = "minimize"

    # Key of the objective if the task returns a mapping; a list of keys for several objectives.
    metric: Any = None

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

    # Number of complete, pruned and paused trials at which the study ends. Null: every point of a
    # finite space; otherwise as many trials as `timeout` or a `stop` rule with `patience` allows;
    # without these, 20. No point is run twice, so a finite space may end the study before.
    n_trials: int | None = None

    # Number of seeds with which each trial is run: that of the config's key `seed`, and the
    # following ones. The value of a trial is the mean of its runs.
    repeats: int = 1

    # Ends the study before its budget is spent: {value: 0.99} once the best value reaches 0.99,
    # {patience: 30} after 30 trials without a better value. Null: never.
    stop: Any = None

    # Time limit of this command, such as 90s, 10min or 2h. Running trials are saved and put back
    # into the study when it is reached. Null: no limit.
    timeout: str | None = None

    # Time limit of an attempt at a trial, such as 10min. A trial that takes longer fails; if it
    # hangs, its process is ended. Null: no limit.
    trial_timeout: str | None = None

    # Number of workers. `auto` or -1: one per GPU; without GPUs, one per core as far as memory
    # allows.
    n_jobs: Any = "auto"

    # Number of workers that share a GPU if n_jobs is `auto`.
    trials_per_gpu: int = 1

    # Largest fraction of n_trials that may fail under one command. Beyond it the study stops. Null:
    # one half, and a study that ends with points missing exits with code 1.
    max_failure_rate: float | None = None

    # How many times in a row a trial is run again because its worker died before the trial made
    # progress. Then it fails.
    max_retries: int = 3

    # Seconds without a sign of life from a worker on another host, after which another worker
    # takes over its trial. The clocks of the hosts need not agree.
    lease_seconds: float = 60.0

    # Search space: a mapping of config keys to sweeps in Hydra's grammar, such as
    # {optimizer.lr: "interval(0.001, 0.1)"}. Overrides on the command line take precedence. The
    # mapping is open: hydra.sweeper.params.x='interval(0,1)' adds a key, with or without a +.
    params: Any = field(default_factory=lambda: OmegaConf.create({}, flags={"struct": False}))

    # Search space in the form of Hydra 1.1, which `params` replaces: a mapping of config keys to
    # distributions, such as {optimizer.lr: {type: float, low: 0.001, high: 0.1}}.
    search_space: Any = None

    # True: also search the `search` blocks of the chosen options. False: ignore them. Null: search
    # them only if neither `params` nor the command line sweeps anything.
    auto: bool | None = None

    # Import path of a function (config, optuna trial) that suggests further parameters.
    custom_search_space: str | None = None

    # Run the default config as the first trial, so that the others are compared with it.
    warm_start: bool = True

    # Points to try before others: a list of mappings of config keys to values. Keys that a point
    # does not have are sampled.
    enqueue: list[Any] = field(default_factory=list)

    # Points of other studies and runs, to try before others: the folder of a study, `STORAGE NAME`,
    # mlflow:EXPERIMENT or mlflow:EXPERIMENT@URI, a mapping, or a list of these. The keys of a
    # mapping are `from`; `n`, the number of points (5); `use`, which is `points` or `trials` (the
    # sampler learns from all finished trials); and `metric`, the objective's name in MLflow.
    enqueue_from: Any = None

    # Upper bounds for values that the task records with `trial.note`: a mapping of their keys to
    # numbers. A trial above a bound is stopped, and the sampler avoids such trials.
    constraints: Any = None

    # The member of a Pareto front that has the folder `best/`: `knee`, or the name or the number,
    # from 0 on, of the objective in which it is the best. Null: none of them.
    best: Any = None

    # True: the task can go on with an earlier attempt, whose files are in
    # `sweeper.trial.info().resume_folder`, so that the pruner `promotion` may pause its trials.
    # False: it cannot, so they are pruned as by `median`. Null: true for a task that reads
    # `resume_folder`.
    resumable: bool | None = None

    # Config keys, such as trainer.epochs, whose number a later command of the same study may raise.
    # The trials that were paused then go on further; complete ones keep their results.
    growing: list[str] = field(default_factory=list)

    # Config keys, such as data.num_workers, whose values do not change the results of a trial. They
    # and the keys below them may differ between two commands of the same study.
    steering: list[str] = field(default_factory=list)

    # Before the first trial, compose a config for every option and for the ends of every
    # parameter's range, and stop if one cannot be composed.
    check: bool = True

    # Import path of a function (config) that `check` calls with each of these configs. It raises
    # a SweeperError for a config that cannot work.
    verify: str | None = None

    # Number of the best trials that are trained again when the search is over, with further seeds.
    # The worst are dropped once a test separates them, and the one with the best mean is the
    # winner. Null: the best trial is the winner.
    finalists: int | None = None

    # Number of these seeds: they follow those of the trials, see `repeats`.
    finalist_seeds: int = 5

    # Import path of a function (config, trial) that a worker calls once when the study has what was
    # asked for, with the config and the `sweeper.trial.TrialInfo` of its best trial; of a Pareto
    # front, with those of the member that `best` chooses. It returns a mapping of names to numbers,
    # which the results show. Null: nothing is called.
    conclude: str | None = None

    # Objects that are called when the study and its trials start and end, each a `_target_`. Their
    # methods are those of sweeper.sweep.observer.Observer.
    observers: list[Any] = field(default_factory=list)


@dataclass
class LocalLauncherConf:
    """Settings of the launcher that runs jobs in processes on this machine."""

    _target_: str = "hydra_plugins.sweeper_plugin.launcher.LocalLauncher"

    # Number of processes, or `auto`; see hydra.sweeper.n_jobs, which counts instead in a study.
    n_jobs: Any = "auto"

    # Number of processes that share a GPU if n_jobs is `auto`.
    trials_per_gpu: int = 1


# Samplers use the application's own `seed`, if its config has one, so that studies can be repeated.
SEED = "${oc.select:seed,null}"

EVOLUTION: dict[str, Any] = {
    "seed": SEED,
    "population_size": 50,
    "mutation": None,
    "mutation_prob": None,
    "crossover": None,
    "crossover_prob": 0.9,
    "swapping_prob": 0.5,
    "constraints_func": None,
    "elite_population_selection_strategy": None,
    "child_generation_strategy": None,
    "after_trial_strategy": None,
}

# Each node has all arguments of its class. Null stands for Optuna's own default. The official
# Optuna sweeper reads the samplers' nodes too, under the same names.
SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {
        "_target_": "optuna.samplers.TPESampler",
        "seed": SEED,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": "${.multivariate}",
        "constant_liar": True,
        "gamma": None,
        "weights": None,
        "prior_weight": None,
        "consider_prior": None,
        "consider_magic_clip": None,
        "consider_endpoints": None,
        "warn_independent_sampling": None,
        "constraints_func": None,
    },
    "gp": {
        "_target_": "optuna.samplers.GPSampler",
        "seed": SEED,
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "independent_sampler": None,
        "constraints_func": None,
        "warn_independent_sampling": False,
    },
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": SEED},
    "qmc": {
        "_target_": "optuna.samplers.QMCSampler",
        "qmc_type": "sobol",
        "scramble": True,
        # All workers draw from one sequence, so they need the same seed.
        "seed": 0,
        "independent_sampler": None,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    },
    "cmaes": {
        "_target_": "optuna.samplers.CmaEsSampler",
        "seed": SEED,
        "x0": None,
        "sigma0": None,
        "n_startup_trials": 1,
        "popsize": None,
        "restart_strategy": None,
        "inc_popsize": -1,
        "consider_pruned_trials": False,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
        "source_trials": None,
        "independent_sampler": None,
        "warn_independent_sampling": False,
    },
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", **EVOLUTION},
    "nsgaiii": {
        "_target_": "optuna.samplers.NSGAIIISampler",
        **EVOLUTION,
        "reference_points": None,
        "dividing_parameter": 3,
    },
    # The study itself gives each trial its point, in order, so that all workers together run each
    # point once.
    "grid": {"_target_": "optuna.samplers.GridSampler", "_partial_": True, "seed": SEED},
    "brute_force": {
        "_target_": "optuna.samplers.BruteForceSampler",
        "seed": SEED,
        "avoid_premature_stop": False,
    },
}

PRUNERS: dict[str, dict[str, Any]] = {
    "none": {"_target_": "optuna.pruners.NopPruner"},
    # Pauses trials and promotes the best of them later. The others can only stop a trial.
    "promotion": {
        "_target_": "sweeper.sweep.promotion_pruner.PromotionPruner",
        "reduction_factor": 3,
        "min_resource": "auto",
        "finish": 2,
        "max_resource": "auto",
    },
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
    _store("hydra/sweeper", "sweeper", StudySweeperConf)
    _store("hydra/launcher", "local", LocalLauncherConf)
    for name, node in SAMPLERS.items():
        _store("hydra/sweeper/sampler", name, node)
    for name, node in PRUNERS.items():
        _store("hydra/sweeper/pruner", name, node)


def _store(group: str, name: str, node: Any) -> None:
    store = ConfigStore.instance().store
    # Hydra 1.4 warns of an option that another plugin has too, such as the official Optuna sweeper.
    replacing = {"replace": True} if "replace" in signature(store).parameters else {}
    store(group=group, name=name, node=node, provider=PROVIDER, **replacing)


register()
