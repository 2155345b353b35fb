import functools

import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.study_settings import parse_seconds, read_settings

KEYS = {
    "sampler": functools.partial(optuna.samplers.TPESampler, seed=None),
    "pruner": optuna.pruners.NopPruner(),
    "direction": "minimize",
    "storage": None,
    "study_name": None,
    "study": "resume",
    "n_trials": None,
    "timeout": None,
    "n_jobs": "auto",
    "max_failure_rate": 0.5,
    "max_retries": 3,
    "lease_seconds": 60,
    "params": {"x": "1,2"},
    "auto": None,
    "custom_search_space": None,
    "warm_start": True,
    "enqueue": [],
    "constraints": {},
    "check": True,
    "verify": None,
    "observers": [],
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
        ("study", "new", "one of resume, fresh"),
        *(
            ("study_name", name, "must be the name of a folder")
            for name in ("", ".", "..", "../x", "a/../../x", "/tmp/x", "a\nb", "a\x1b[2J")
        ),
        ("n_trials", 0, "at least 1"),
        ("timeout", "soon", "90s, 10min or 2h"),
        ("n_jobs", 0, "auto or a number"),
        ("max_failure_rate", 2, "between 0 and 1"),
        ("enqueue", [1], "must be a list of points"),
        ("sampler", "tpe", "must be an Optuna sampler"),
        ("sampler", functools.partial(optuna.samplers.TPESampler, lr=1), "cannot be created.*'lr'"),
        ("pruner", "median", "must be an Optuna pruner"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_key(key, value, message) -> None:
    with pytest.raises(ConfigError, match=f"hydra.sweeper.{key}.*{message}"):
        read_settings({**KEYS, key: value})


@pytest.mark.parametrize(
    ("direction", "directions"),
    [("maximize", ("maximize",)), (["minimize", "maximize"], ("minimize", "maximize"))],
)
def test_directions_are_one_or_several(direction, directions) -> None:
    assert read_settings({**KEYS, "direction": direction}).directions == directions


def test_a_sampler_whose_package_is_missing_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("sweeper.sweep.study_settings.find_spec", lambda name: None)
    cmaes = functools.partial(optuna.samplers.CmaEsSampler, seed=None)
    with pytest.raises(ConfigError, match="pip install cmaes"):
        read_settings({**KEYS, "sampler": cmaes})


def test_a_seeded_study_gives_each_trial_its_own_seed() -> None:
    make = functools.partial(optuna.samplers.RandomSampler, seed=5)
    recipe = read_settings({**KEYS, "sampler": make}).sampler

    def draw(number):
        study = optuna.create_study(sampler=recipe.sampler(number))
        return study.ask().suggest_float("x", 0, 1)

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


@pytest.mark.parametrize(
    "name", [None, "s", "rates-2026.11", "käse", "with space", "...", "group/s"]
)
def test_any_name_of_a_folder_is_one_of_a_study(name) -> None:
    assert read_settings({**KEYS, "study_name": name}).study_name == name
