"""The values of `hydra.sweeper`, checked and converted."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from omegaconf import OmegaConf

from sweeper.cli.overrides import to_type
from sweeper.space.search_space import searched
from sweeper.space.sweep_lines import sweep_lines
from sweeper.sweep.elsewhere.sources import Source, read_sources
from sweeper.sweep.observer import Observers
from sweeper.sweep.results.front import Choice, parse_choice
from sweeper.sweep.settings.nodes import built
from sweeper.sweep.settings.reading import read_pruner, read_sampler
from sweeper.sweep.settings.recipes import PrunerRecipe, SamplerRecipe
from sweeper.sweep.settings.setting_rules import check_rules, refused
from sweeper.sweep.stop_rule import StopRule
from sweeper.sweep.verdict import Objectives

SECONDS_PER_UNIT = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
DEFAULT_N_TRIALS = 20
OBJECT_KEYS = ("storage", "observers")
DEFAULT_FAILURE_RATE = 0.5
MAX_NAME_BYTES = 200  # A file system takes 255; the folder of a fresh study appends the time.


@dataclass(frozen=True)
class StudySettings:
    """The settings that the user chose; `sweeper.hydra_settings` documents each of them.

    `fresh` is True for `study=fresh`, and `compares` for `study=compare`.
    """

    directions: tuple[str, ...]
    sampler: SamplerRecipe
    pruner: PrunerRecipe
    storage: Any
    study_name: str | None
    fresh: bool
    compares: bool
    join: bool
    n_trials: int | None
    timeout_seconds: float | None
    trial_seconds: float | None
    n_jobs: int | str
    max_failure_rate: float | None
    max_retries: int
    lease_seconds: float
    params: Sequence[str]
    auto: bool | None
    custom_search_space: str | None
    warm_start: bool
    check: bool
    verify: str | None
    conclude: str | None = None
    finalists: int | None = None
    finalist_seeds: int = 5
    enqueue: Sequence[Mapping[str, Any]] = ()
    enqueue_from: Sequence[Source] = ()
    trials_per_gpu: int = 1
    constraints: Mapping[str, float] = field(default_factory=dict)
    observers: Observers = field(default_factory=Observers)
    objectives: Objectives = field(default_factory=lambda: Objectives(1))
    repeats: int = 1
    stop: StopRule | None = None
    best: Choice = None
    resumable: bool | None = None
    growing: Sequence[str] = ()
    steering: Sequence[str] = ()

    @property
    def of_results(self) -> dict[str, Any]:
        """The settings that change the results of trials, as JSON, unless they are the defaults."""
        settings = {
            "repeats": None if self.repeats == 1 else self.repeats,
            "custom_search_space": self.custom_search_space,
            "constraints": dict(self.constraints) or None,
        }
        return {key: value for key, value in settings.items() if value is not None}


def read_settings(keys: Mapping[str, Any]) -> StudySettings:
    """Return the checked settings in `keys`, the values of `hydra.sweeper`.

    Raises:
        ConfigError: a value is invalid.
    """
    keys = {k: _plain(v) for k, v in keys.items()}
    keys |= {key: built(key, keys[key]) for key in OBJECT_KEYS if key in keys}
    check_rules(keys)
    directions = _directions(keys["direction"])
    objectives = _objectives(keys["metric"], len(directions))
    return StudySettings(
        directions=directions,
        sampler=read_sampler(keys["sampler"]),
        pruner=read_pruner(keys["pruner"]),
        storage=keys["storage"],
        study_name=_study_name(keys["study_name"]),
        fresh=keys["study"] == "fresh" and not keys["join"],
        compares=keys["study"] == "compare",
        join=keys["join"],
        n_trials=keys["n_trials"],
        timeout_seconds=parse_seconds(keys["timeout"]),
        trial_seconds=parse_seconds(keys["trial_timeout"], "trial_timeout"),
        n_jobs="auto" if keys["n_jobs"] == -1 else keys["n_jobs"],
        max_failure_rate=keys["max_failure_rate"],
        max_retries=keys["max_retries"],
        lease_seconds=float(keys["lease_seconds"]),
        params=sweep_lines(searched(keys["params"], keys["search_space"])),
        auto=keys["auto"],
        custom_search_space=keys["custom_search_space"],
        warm_start=keys["warm_start"],
        check=keys["check"],
        verify=keys["verify"],
        conclude=keys["conclude"],
        finalists=_finalists(keys["finalists"], directions),
        finalist_seeds=keys["finalist_seeds"],
        enqueue=keys["enqueue"],
        enqueue_from=read_sources(keys["enqueue_from"]),
        trials_per_gpu=keys["trials_per_gpu"],
        constraints={k: float(v) for k, v in (keys["constraints"] or {}).items()},
        observers=Observers(tuple(keys["observers"] or ())),
        objectives=objectives,
        repeats=keys["repeats"],
        stop=_stop(keys["stop"], directions),
        best=parse_choice(keys["best"], len(directions), objectives.names),
        resumable=keys["resumable"],
        growing=keys["growing"],
        steering=keys["steering"],
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


def _objectives(metric: Any, n: int) -> Objectives:
    names = tuple(metric) if isinstance(metric, list) else (metric,) * (metric is not None)
    if names and len(names) != n:
        hint = f"{to_type('hydra.sweeper.metric=[KEY,KEY]')} with a key for each direction"
        raise refused("metric", metric, f"{n} {'key' if n == 1 else 'keys'}", hint)
    return Objectives(n, names)


def _stop(rule: Any, directions: Sequence[str]) -> StopRule | None:
    if not rule:
        return None
    if len(directions) > 1:
        hint = "type hydra.sweeper.stop=null"
        raise refused("stop", rule, "null for a study with several objectives", hint)
    return StopRule(rule.get("value"), rule.get("patience"), directions[0] == "maximize")


def _finalists(n: int | None, directions: Sequence[str]) -> int | None:
    if n is not None and len(directions) > 1:
        hint = "type hydra.sweeper.finalists=null"
        raise refused("finalists", n, "null for a study with several objectives", hint)
    return n


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
