import re
from pathlib import Path

import pytest

from sweeper.cli.typed import CHECKS, check_not_empty, check_overrides, unusable_folder
from sweeper.errors import ConfigError

WRONG = {
    "resume": ("true", "1", "''", "[a]"),
    "hydra.run.dir": ("1", "null", "[a]", "''", "/dev/null/x", "a" * 300, "a/" * 1600),
    "hydra.sweep.dir": ("true", "{a: 1}"),
    "hydra.sweep.subdir": ("1.5",),
    "hydra.output_subdir": ("/a", "../a", "1"),
    "hydra.job.name": ("a/b", "..", "''", "true", "[a]", "a" * 252),
    "hydra.job.env_copy": ("[NO_SUCH_VARIABLE]",),
    "hydra.job.env_set": ("{A: null}", "{A: [1]}"),
    "hydra.job.config.override_dirname.kv_sep": ("'\\u0'", "1"),
    "hydra.searchpath": ("[no/such]", "[1]"),
    "hydra.verbose": ("1", "nan", "[1]", "{a: 1}"),
    "hydra.callbacks": ("1", "[a]", "{a: 1}"),
    "hydra.sweeper._target_": ("os.getcwd", "1"),
    "hydra.launcher._target_": ("os.getcwd", "null"),
    **{
        key: ("foo", "null", "[1]")
        for key, check in CHECKS.items()
        if "is a group of keys" in str(check("foo"))
    },
}


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, values in WRONG.items() for value in values],
)
def test_a_wrong_value_of_hydras_is_refused_with_its_key(key, value, refuses) -> None:
    with refuses(ConfigError, rf"^{key}=.*: \w+ .*"):
        check_overrides([f"{key}={value}"])


def test_every_check_has_a_wrong_value() -> None:
    assert WRONG.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    "override",
    [
        *("hydra.run.dir=a/b", "hydra.run.dir=${now:%Y}/x", "hydra.verbose=[a,b]", "~hydra.job"),
        *("hydra.verbose=true", "hydra.output_subdir=null", "hydra.job.env_set={A: '1'}"),
        *("hydra.job.name=5", "hydra/launcher=basic", "hydra/callbacks=null", "optimizer.lr=["),
        *(f"optimizer/{'a' * 300}/b=x", "../data/x=y", "+hydra.callbacks.a._target_=b"),
        *("hydra.searchpath=[pkg://a, file:///tmp]", "a=1,2"),
        *("hydra.launcher._target_=hydra_plugins.hydra_joblib_launcher.joblib_launcher.X",),
    ],
)
def test_other_values_are_left_to_hydra(override) -> None:
    check_overrides([override, "--multirun", "no/override"])


@pytest.mark.parametrize("argument", ["", "  "])
def test_an_empty_argument_is_named(argument, refuses) -> None:
    with refuses(ConfigError, f"^'{argument}': an argument is empty; leave it out$"):
        check_not_empty(["model=cnn", argument])


def test_a_list_of_options_is_no_sweep(refuses) -> None:
    with refuses(ConfigError, r"^model=\[cnn,lenet\]: has .*, --multirun model=cnn,lenet$"):
        check_overrides(["--multirun", "model=[cnn,lenet]"])
    with refuses(ConfigError, r"^experiment=\[.*, --multirun experiment=digits_cnn,mnist_lenet$"):
        check_overrides(["experiment=[digits_cnn,mnist_lenet]"])
    check_overrides(["search=[cnn,auto]", "model.channels=[8,16]", "hydra/callbacks=[a,b]"])


def test_a_key_within_a_mapping_is_checked(refuses) -> None:
    with refuses(ConfigError, r"^hydra\.job=\{name: a/b\}: hydra\.job\.name must"):
        check_overrides(["hydra.job={name: a/b}"])


def test_a_folder_is_usable_if_it_could_be_created(tmp_path) -> None:
    assert unusable_folder(tmp_path) is None
    assert unusable_folder(tmp_path / "a/b/c") is None
    (tmp_path / "file").touch()
    for path in ("file", "file/a", "b" * 256, "a\x1b"):
        assert unusable_folder(tmp_path / path) is not None


def test_the_log_of_a_job_does_not_lie_in_the_current_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweeper.log").touch()
    check_overrides(["hydra.job.name=sweeper"])


@pytest.mark.parametrize(
    "named",
    [
        *(
            ("--config-dir", "{}"),
            ("-cd={}",),
            ("--config-d", "{}"),
            ("hydra.searchpath=[file://{}]",),
        ),
        *(("hydra.searchpath=[pkg://mine.conf]",), ("--config-dir", "{}/seed=1")),
    ],
)
def test_groups_of_ones_own_are_left_to_hydra(named, tmp_path) -> None:
    (tmp_path / "data" / "transform").mkdir(parents=True)
    check_overrides([*(word.format(tmp_path) for word in named), "data/transform=strong"])


@pytest.mark.parametrize(
    "named", [("--config-dir", "{}"), ("--config-dir={}",), ("hydra.searchpath=['{}']",)]
)
def test_a_folder_without_the_group_does_not_make_it_one(named, tmp_path, refuses) -> None:
    with refuses(ConfigError, r"there is no such group; .* type trainer\.epochs=3$"):
        check_overrides([*(word.format(tmp_path) for word in named), "trainer/epochs=3"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("optimizer/lr=0.1", "optimizer.lr=0.1"), ("+model/hidden=a", "+model.hidden=a")],
)
def test_a_key_with_a_slash_gets_a_dot(typed, meant, refuses) -> None:
    with refuses(ConfigError, f"there is no such group; .* type {re.escape(meant)}$"):
        check_overrides([typed])
