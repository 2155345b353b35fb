"""The options of `hydra/sweeper=sweeper` and `hydra/launcher=local`.

Their settings are in `sweeper.hydra_settings`; here are the samplers and pruners, and all of them
are registered with Hydra.
"""

from inspect import signature
from typing import Any

from hydra.core.config_store import ConfigStore

from sweeper.hydra_settings import LocalLauncherConf, StudySweeperConf

PROVIDER = "sweeper_plugin"

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
        # The best of Optuna's 24 candidates lies close to the few good trials, and networks that
        # learn fast look good first. `benchmarks/simulate.py --sampler tpe` compares the numbers.
        "n_ei_candidates": 2,
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
