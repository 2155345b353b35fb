import functools

import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.settings.setting_rules import KEYS as CHECKED_KEYS
from sweeper.sweep.settings.setting_rules import RULES, check_shared
from sweeper.sweep.settings.study_settings import parse_seconds, read_settings

KEYS = {
    "sampler": functools.partial(optuna.samplers.TPESampler, seed=None),
    "pruner": optuna.pruners.NopPruner(),
    "direction": "minimize",
    "storage": None,
    "study_name": None,
    "study": "resume",
    "n_trials": None,
    "timeout": None,
    "trial_timeout": None,
    "join": False,
    "n_jobs": "auto",
    "max_failure_rate": 0.5,
    "max_retries": 3,
    "lease_seconds": 60,
    "params": {"x": "1,2"},
    "search_space": None,
    "auto": None,
    "custom_search_space": None,
    "resumable": True,
    "growing": [],
    "warm_start": True,
    "enqueue": [],
    "enqueue_from": None,
    "trials_per_gpu": 1,
    "constraints": {},
    "check": True,
    "verify": None,
    "conclude": None,
    "finalists": None,
    "finalist_seeds": 5,
    "observers": [],
    "metric": None,
    "best": None,
    "repeats": 1,
    "stop": None,
    "steering": [],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("10min", 600), ("2h", 7200), ("1.5h", 5400), (30, 30), (None, None)],
)
def test_a_duration_is_read_in_its_unit(text, expected) -> None:
    assert parse_seconds(text) == expected


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("direction", "up", "one of minimize, maximize"),
        ("study", "new", "one of resume, fresh, compare"),
        *(
            ("study_name", name, "must be the name of a folder")
            for name in ("", ".", "..", "../x", "a/../../x", "/tmp/x", "a\nb", "a\x1b[2J")
        ),
        ("n_trials", 0, "at least 1"),
        ("timeout", "soon", "90s, 10min or 2h"),
        ("n_jobs", 0, "auto or a number"),
        ("max_failure_rate", 2, "between 0 and 1"),
        ("enqueue", [1], "must be a list of points"),
        ("metric", ["a", "b"], "must be 1 key"),
        ("metric", 3, "must be a key"),
        ("repeats", 0, "at least 1"),
        ("stop", 0.99, "a mapping with a value"),
        ("stop", {"patience": 0}, "a mapping with a value"),
        ("stop", {"best": 1}, "a mapping with a value"),
        ("steering", "seed", "a list of config keys"),
        ("sampler", "tpe", "must be an Optuna sampler"),
        ("sampler", functools.partial(optuna.samplers.TPESampler, lr=1), "cannot be created.*'lr'"),
        ("pruner", "median", "must be an Optuna pruner"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_key(key, value, message) -> None:
    with pytest.raises(ConfigError, match=f"hydra.sweeper.{key}.*{message}"):
        read_settings({**KEYS, key: value})


def test_a_key_that_does_not_exist_is_refused_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.n_trial: .* did you mean n_trials"):
        read_settings({**KEYS, "n_trial": 3})


def test_a_stop_rule_needs_a_single_objective() -> None:
    keys = {**KEYS, "direction": ["minimize", "maximize"], "stop": {"value": 1}}
    with pytest.raises(ConfigError, match="null for a study with several objectives"):
        read_settings(keys)


WRONG = {
    "storage": (1.5, "journal", [], {"a": None}, ""),
    "n_trials": (True, 1.5, -1, "20"),
    "n_jobs": (True, 1.5, "foo", -2, [1], None),
    "max_failure_rate": (float("nan"), float("inf"), "0.5", True, -0.1),
    "max_retries": (-1, 1.5, None, True),
    "lease_seconds": (float("nan"), float("inf"), 0, -1.0, "60", None),
    "params": ([], {1: "1,2"}, "x=1,2"),
    "search_space": ([], "x=1,2"),
    "auto": (1, "true", []),
    "custom_search_space": (1, "", []),
    "verify": (1, "", []),
    "resumable": (1, "true"),
    "growing": (None, "trainer.epochs", [1]),
    "conclude": (1, "", []),
    "finalists": (1, True, 2.5, "3"),
    "finalist_seeds": (0, None, True, "5"),
    "warm_start": (None, 1, "true"),
    "check": (None, 1, "true"),
    "join": (None, 1, "true"),
    "enqueue_from": (1, True, {}, [1], [None]),
    "trials_per_gpu": (0, True, 1.5, "2", None),
    "enqueue": (None, {}, [[]], [{1: 2}]),
    "constraints": ([], {"x": "1"}, {"x": float("nan")}, {"x": None}, {1: 2}),
    "observers": ([1], "foo", [None]),
    "direction": (None, [], [1], {"a": 1}, True),
    "study": (None, 1, [], {"a": 1}),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG.items() for value in values]
)
def test_a_value_of_a_wrong_type_is_refused_with_an_example(key, value, refuses) -> None:
    with refuses(
        ConfigError, rf"^hydra\.sweeper\.{key}=.*: must be .*; type ['\"]?hydra\.sweeper\.{key}="
    ):
        read_settings({**KEYS, key: value})


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("direction", "max", "direction=maximize"),
        ("direction", "Minimise", "direction=minimize"),
        ("study", "new", "study=resume"),
        ("n_trials", "1k", "n_trials=1000"),
        ("n_trials", "None", "n_trials=null"),
        ("max_failure_rate", "20%", "max_failure_rate=0.2"),
    ],
)
def test_what_a_wrong_value_means_is_named(key, value, typed) -> None:
    with pytest.raises(ConfigError, match=rf"type hydra\.sweeper\.{typed}$"):
        read_settings(KEYS | {key: value})


@pytest.mark.parametrize("key", RULES)
def test_the_example_of_a_rule_can_be_pasted_into_a_shell(key, pasted) -> None:
    with pytest.raises(ConfigError) as error:
        read_settings({**KEYS, key: object()})
    override = pasted(error.value)
    assert override.key_or_group == f"hydra.sweeper.{key}"
    assert RULES[key].accepts(override.value())


@pytest.mark.parametrize("key", ["enqueue_from", "timeout", "trial_timeout"])
def test_the_example_of_a_key_without_a_rule_can_be_pasted_into_a_shell(key, pasted) -> None:
    with pytest.raises(ConfigError) as error:
        read_settings({**KEYS, key: object()})
    override = pasted(error.value)
    assert override.key_or_group == f"hydra.sweeper.{key}"
    assert read_settings({**KEYS, key: override.value()})


def test_a_password_in_a_refused_value_is_not_shown() -> None:
    with pytest.raises(ConfigError) as error:
        read_settings({**KEYS, "study": "postgresql://me:hunter2hunter@host/x"})
    assert "hunter2" not in str(error.value)


def test_every_key_is_checked_and_none_can_be_removed(composed) -> None:
    keys = {key for key in composed(hydra=True).hydra.sweeper if not key.startswith("_")}
    assert keys == set(CHECKED_KEYS) == set(KEYS)
    for key in keys:
        with pytest.raises(ConfigError, match=f"hydra.sweeper.{key} is missing"):
            read_settings({k: v for k, v in KEYS.items() if k != key})


@pytest.mark.parametrize(
    "storage",
    [
        "/dev/null/x.log",
        "sqlite:////no/such/x.db",
        "sqlite+pysqlite:////no/such/x.db",
        "sqlite:///file:/no/such/x.db?uri=true",
    ],
)
def test_a_storage_in_a_folder_that_cannot_be_is_refused(storage) -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.storage=.*: must be .*; type"):
        read_settings({**KEYS, "storage": storage})


@pytest.mark.parametrize("in_one_process", [False, True])
def test_a_storage_in_memory_is_refused_unless_one_process_alone_uses_it(
    refuses, in_one_process
) -> None:
    storages = optuna.storages
    told = r"storage={}: must be a storage that the processes .* type hydra\.sweeper\.storage=sq"
    for storage in ("sqlite://", "sqlite:///:memory:", storages.RDBStorage("sqlite://")):
        shown = storage if isinstance(storage, str) else "RDBStorage"
        with refuses(ConfigError, told.format(shown)):
            check_shared(storage, in_one_process)
    if in_one_process:
        check_shared(storages.InMemoryStorage(), in_one_process)
    else:
        with refuses(ConfigError, told.format("InMemoryStorage")):
            check_shared(storages.InMemoryStorage(), in_one_process)
    for storage in (None, "x.log", "sqlite:///x.db"):
        check_shared(storage, in_one_process)


def test_the_path_of_a_database_may_be_a_uri_of_sqlite(tmp_path) -> None:
    storage = f"sqlite:///file:{tmp_path}/x.db?uri=true"
    assert read_settings({**KEYS, "storage": storage}).storage == storage


@pytest.mark.parametrize(
    ("direction", "directions"),
    [("maximize", ("maximize",)), (["minimize", "maximize"], ("minimize", "maximize"))],
)
def test_directions_are_one_or_several(direction, directions) -> None:
    assert read_settings({**KEYS, "direction": direction}).directions == directions


def test_a_sampler_whose_package_is_missing_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("sweeper.sweep.settings.reading.find_spec", lambda name: None)
    cmaes = functools.partial(optuna.samplers.CmaEsSampler, seed=None)
    with pytest.raises(ConfigError, match="uv pip install cmaes"):
        read_settings({**KEYS, "sampler": cmaes})


@pytest.mark.parametrize(
    "name", [None, "s", "rates-2026.11", "käse", "with space", "...", "group/s"]
)
def test_any_name_of_a_folder_is_one_of_a_study(name) -> None:
    assert read_settings({**KEYS, "study_name": name}).study_name == name
