"""The types and ranges of the keys of `hydra.sweeper`, and the functions that some of them name.

`sweeper.hydra_settings` says what the keys mean.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.utils import _locate
from optuna.storages import BaseStorage, InMemoryStorage

from sweeper.cli.overrides import to_type
from sweeper.cli.typed import unusable_folder
from sweeper.errors import ConfigError
from sweeper.schema import meanings
from sweeper.secrets import without_password
from sweeper.sweep.storage_place import file_of, is_in_memory
from sweeper.text import did_you_mean, in_one_line, printable

DIRECTIONS, STUDIES = ("minimize", "maximize"), ("resume", "fresh", "compare")
OBSERVER_METHODS = ("study_opened", "trial_started", "trial_finished", "study_finished")


@dataclass(frozen=True)
class Rule:
    """What the value of a key must be, in words and as a function, and an example of one.

    The example is in the grammar of Hydra's overrides; a message adds quotes for the shell.
    """

    must: str
    example: str
    accepts: Callable[[Any], bool]
    words: Sequence[str] = ()
    """Values that are words."""

    def meant(self, value: Any) -> str | None:
        """Return what may be meant by a value that is refused, if it is accepted."""
        texts = meanings(value, self.words)
        return next((text for text in texts if self.accepts(yaml.safe_load(text))), None)


def refused(key: str, value: Any, must: str, hint: str) -> ConfigError:
    """Return the error for a value of `hydra.sweeper.<key>`."""
    return ConfigError(f"hydra.sweeper.{key}={_shown(value)}: must be {must}; {hint}")


def check_rules(keys: Mapping[str, Any]) -> None:
    """Check the values of `hydra.sweeper`, as plain Python values, against the rules.

    Raises:
        ConfigError: a key is missing or unknown, or its value has the wrong type or range.
    """
    unknown = next((key for key in keys if key not in KEYS), None)
    if unknown is not None:
        hint = did_you_mean(str(unknown), KEYS)
        raise ConfigError(f"hydra.sweeper.{unknown}: there is no such key; {hint}")
    for key in KEYS:
        if key not in keys:
            raise ConfigError(
                f"hydra.sweeper.{key} is missing: set it to a value instead of removing it"
            )
    for key, rule in RULES.items():
        if not rule.accepts(keys[key]):
            hint = to_type(f"hydra.sweeper.{key}={rule.meant(keys[key]) or rule.example}")
            raise refused(key, keys[key], rule.must, hint)
    _check_storage_folder(keys["storage"])


def check_number_of_processes(key: str, value: Any) -> None:
    """Check the value of `key`, the number of processes of a launcher.

    Raises:
        ConfigError: the value is neither a number nor `auto`.
    """
    if not _is_number_of_jobs(value):
        raise ConfigError(f"{key}={_shown(value)}: must be {_JOBS}; type {key}=auto")


def imported_function(key: str, path: str) -> Callable[..., Any]:
    """Return the function that `hydra.sweeper.<key>` names by its import path.

    Raises:
        ConfigError: there is none, or its module cannot be imported.
    """
    hint = f"type hydra.sweeper.{key}=my_package.function"
    try:
        function: Callable[..., Any] = _locate(path)  # `get_method` also logs its errors
    except Exception as error:  # the user's module may raise anything
        reason = f"{type(error).__name__}: {in_one_line(error)}"
        raise refused(key, path, f"the import path of a function ({reason})", hint) from error
    if not callable(function):
        raise refused(key, path, f"a function, not a {type(function).__name__}", hint)
    return function


def check_shared(storage: str | BaseStorage | None, in_one_process: bool) -> None:
    """Check that all who open a storage find the same study in it.

    in_one_process: the command itself runs the trials. It can share an object with them, but not a
        URL, nor an object that has a database for each of its threads.

    Raises:
        ConfigError: it is in memory.
    """
    shares = in_one_process and isinstance(storage, InMemoryStorage)
    if storage is not None and is_in_memory(storage) and not shares:
        shown = storage if isinstance(storage, str) else type(storage).__name__
        must = "a storage that the processes of a study share, not one in memory"
        hint = "type hydra.sweeper.storage=sqlite:///study.db, or leave it out"
        raise refused("storage", shown, must, hint)


def _check_storage_folder(storage: Any) -> None:
    """Check that the file of a storage can be in its folder; a server is asked later."""
    if not isinstance(storage, str):
        return
    hint = "type hydra.sweeper.storage=sqlite:///study.db, or the path of a .log file"
    if storage.endswith(".log"):
        problem = unusable_folder(Path(storage).parent)
        if problem or Path(storage).is_dir():
            raise refused("storage", storage, "the path of a file that can be written", hint)
        return
    file = file_of(storage)
    if file is not None and not file.absolute().parent.is_dir():
        raise refused("storage", storage, "a file in a folder that exists", hint)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return printable(without_password(str(value)))


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any, least: float, most: float = math.inf) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and least <= value <= most


def _is_number_of_jobs(value: Any) -> bool:
    return value == "auto" or (not isinstance(value, bool) and value == -1) or _is_whole(value, 1)


def _is_text_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value.strip()))


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_directions(value: Any) -> bool:
    directions = value if isinstance(value, list) else [value]
    names = [getattr(each, "name", each) for each in directions]
    return bool(names) and all(name in DIRECTIONS for name in names)


def _is_points(value: Any) -> bool:
    return isinstance(value, list) and all(_is_point(point) for point in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def _is_metric(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value)) or _is_texts(value)


def _is_choice(value: Any) -> bool:
    return _is_text_or_null(value) or _is_whole(value, 0)


def _is_stop(value: Any) -> bool:
    if value in (None, {}):
        return True
    if not isinstance(value, dict) or not {*value} <= {"value", "patience"}:
        return False
    limit, patience = value.get("value"), value.get("patience")
    if limit is None and patience is None:
        return False
    return (limit is None or _is_number(limit, -math.inf)) and (
        patience is None or _is_whole(patience, 1)
    )


def _is_bounds(value: Any) -> bool:
    return value is None or (
        _is_point(value) and all(_is_number(bound, -math.inf) for bound in value.values())
    )


def _is_sweeps(value: Any) -> bool:
    return value is None or _is_point(value)


def _is_storage(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, BaseStorage)
        or (isinstance(value, str) and (value.endswith(".log") or "://" in value))
    )


def _is_observers(value: Any) -> bool:
    return value is None or (
        isinstance(value, list | tuple)
        and all(hasattr(each, name) for each in value for name in OBSERVER_METHODS)
    )


_JOBS = "auto or a number of at least 1"
_FUNCTION = Rule("the import path of a function, or null", "my_package.function", _is_text_or_null)

RULES: Mapping[str, Rule] = {
    "storage": Rule(
        "the URL of a database, the path of a file that ends in .log, or null",
        "sqlite:///study.db",
        _is_storage,
    ),
    "n_trials": Rule(
        "a number of at least 1, or null", "20", lambda v: v is None or _is_whole(v, 1)
    ),
    "n_jobs": Rule(_JOBS, "auto", _is_number_of_jobs),
    "metric": Rule("a key, a list of keys, or null", "accuracy", _is_metric),
    "repeats": Rule("a number of at least 1", "3", lambda v: _is_whole(v, 1)),
    "finalists": Rule(
        "a number of at least 2, or null", "3", lambda v: v is None or _is_whole(v, 2)
    ),
    "finalist_seeds": Rule("a number of at least 1", "5", lambda v: _is_whole(v, 1)),
    "stop": Rule("a mapping with a value, a patience or both, or null", "{patience: 30}", _is_stop),
    "best": Rule("knee, the name or the number of an objective, or null", "knee", _is_choice),
    "growing": Rule("a list of config keys", "[trainer.epochs]", _is_texts),
    "steering": Rule("a list of config keys", "[data.num_workers]", _is_texts),
    "max_failure_rate": Rule(
        "a number between 0 and 1, or null", "0.5", lambda v: v is None or _is_number(v, 0, 1)
    ),
    "max_retries": Rule("a number of at least 0", "3", lambda v: _is_whole(v, 0)),
    "lease_seconds": Rule(
        "a number of seconds above 0", "60", lambda v: _is_number(v, 0) and v > 0
    ),
    "params": Rule(
        "a mapping of keys to sweeps, or null", '{optimizer.lr: "0.1,0.01"}', _is_sweeps
    ),
    "search_space": Rule(
        "a mapping of keys to distributions, or null", "null", lambda v: v is None or _is_point(v)
    ),
    "auto": Rule("true, false or null", "true", lambda v: v is None or _is_boolean(v)),
    "custom_search_space": _FUNCTION,
    "verify": _FUNCTION,
    "conclude": _FUNCTION,
    "join": Rule("true or false", "false", _is_boolean),
    "resumable": Rule("true, false or null", "true", lambda v: v is None or _is_boolean(v)),
    "warm_start": Rule("true or false", "true", _is_boolean),
    "check": Rule("true or false", "true", _is_boolean),
    "trials_per_gpu": Rule("a number of at least 1", "2", lambda v: _is_whole(v, 1)),
    "enqueue": Rule("a list of points", "[{optimizer.lr: 0.1}]", _is_points),
    "constraints": Rule(
        "a mapping of noted values to numbers, or null", "{n_parameters: 1e6}", _is_bounds
    ),
    "observers": Rule("a list of observers", "[]", _is_observers),
    "direction": Rule(
        "one of minimize, maximize, or a list of them", "minimize", _is_directions, DIRECTIONS
    ),
    "study": Rule("one of resume, fresh, compare", "resume", lambda v: v in STUDIES, STUDIES),
}

KEYS = (*RULES, "sampler", "pruner", "study_name", "timeout", "trial_timeout", "enqueue_from")
"""The keys that must be there. Those that are not in `RULES` are checked where they are read."""
