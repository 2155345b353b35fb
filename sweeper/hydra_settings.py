"""The settings of `hydra/sweeper=sweeper` and `hydra/launcher=local`, with their default values.

Keys that the official Optuna sweeper also has mean the same here as far as possible.
docs/coming_from_hydra_optuna_sweeper.md lists the keys that mean something else here.

The plugin registers these classes. They are defined in a module that can be imported, so that a
config that refers to them is pickled without a search through all modules.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf


def open_mapping() -> DictConfig:
    """Return an empty mapping to which the command line may add keys, with or without a `+`."""
    return OmegaConf.create({}, flags={"struct": False})


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

    # The sampler proposes parameters, the pruner pauses or stops weak trials. Choose them with
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
    # `compare`: run nothing, and fail if the settings of the study are not those of this command.
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
    # {patience: 30} after 30 trials without a better value. Null or empty: never. The mapping is
    # open: hydra.sweeper.stop.patience=30 adds a key, with or without a +.
    stop: Any = field(default_factory=open_mapping)

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
    # mapping is open: "hydra.sweeper.params.x='interval(0,1)'", with both pairs of quotes, adds a
    # key, with or without a +.
    params: Any = field(default_factory=open_mapping)

    # Search space in the form of Hydra 1.1, which `params` replaces: a mapping of config keys to
    # distributions, such as {optimizer.lr: {type: float, low: 0.001, high: 0.1}}.
    search_space: Any = None

    # True: also search the `search` blocks of the chosen options. False: ignore them. Null: search
    # them only if neither `params` nor the command line sweeps anything.
    auto: bool | None = None

    # Import path of a function (config, optuna trial) that suggests further parameters.
    custom_search_space: str | None = None

    # Run the default config as the first trial, so that the others are compared with it. A default
    # number outside an interval or a range counts as the nearest value within.
    warm_start: bool = True

    # Points to try before others: a list of mappings of config keys to values. Keys that a point
    # does not have are sampled.
    enqueue: list[Any] = field(default_factory=list)

    # Points of other studies and runs, to try before others: the folder of a study, `STORAGE NAME`,
    # mlflow:EXPERIMENT or mlflow:EXPERIMENT@URI, a mapping, or a list of these. The keys of a
    # mapping are `from`; `n`, the number of points (5); `use`, which is `points` or `trials` (the
    # sampler learns from all complete trials that have a value for each parameter); and `metric`,
    # the objective's name in MLflow.
    enqueue_from: Any = None

    # Upper bounds for values that the task records with `trial.note`: a mapping of their keys to
    # numbers. A trial above a bound is stopped, and the sampler avoids such trials. The mapping is
    # open, as that of `stop`.
    constraints: Any = field(default_factory=open_mapping)

    # The member of a Pareto front that has the folder `best/`: `knee`, or the name or the number,
    # from 0 on, of the objective in which it is the best. Null: none of them.
    best: Any = None

    # True: the task can go on with an earlier attempt, whose files are in
    # `sweeper.trial.info().resume_folder`, so that the pruner `promotion` may pause its trials.
    # False: it cannot, so they are pruned as by `median`. Null: true for a task that reads
    # `resume_folder`.
    resumable: bool | None = None

    # Config keys, such as trainer.epochs, whose number a later command of the same study may raise.
    # The first command of the study names them. The trials that were paused then go on further;
    # complete ones keep their results.
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
