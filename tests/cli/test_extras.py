"""What is not installed: the message names the extra to install."""

import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import MissingConfigException

from sweeper.cli.messages import line_for, user_message
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError
from sweeper.hydra_versions import COMPOSING
from sweeper.tracking.uri import check_driver


@pytest.mark.parametrize(
    ("launcher", "extra"),
    [
        ("ray", "ray"),
        ("ray_aws", "ray"),
        ("submitit_slurm", "slurm"),
        ("submitit_local", "slurm"),
        ("joblib", "joblib"),
    ],
)
def test_a_launcher_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, launcher: str, extra: str
) -> None:
    Plugins.instance()
    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(launchers, f"{launcher}.yaml", raising=False)
    with (
        initialize_config_dir(str(CONFIGS), **COMPOSING),
        pytest.raises(MissingConfigException) as caught,
    ):
        compose("config", [f"hydra/launcher={launcher}"], return_hydra_config=True)
    assert user_message(caught.value) == (
        f"hydra/launcher={launcher}: is not installed; type python -m uv sync --extra {extra} in "
        "the folder of sweeper's source, or without uv: python -m pip install "
        f"'/path/to/sweeper[{extra}]'"
    )


@pytest.mark.parametrize(
    ("sweeper", "reason"),
    [("optuna", "uses Optuna too"), ("ax", "searches with Optuna in its place")],
)
def test_nobody_is_told_to_install_an_official_sweeper(
    monkeypatch: pytest.MonkeyPatch, sweeper: str, reason: str
) -> None:
    Plugins.instance()
    sweepers = ConfigStore.instance().repo["hydra"]["sweeper"]
    monkeypatch.delitem(sweepers, f"{sweeper}.yaml", raising=False)
    with (
        initialize_config_dir(str(CONFIGS), **COMPOSING),
        pytest.raises(MissingConfigException) as caught,
    ):
        compose("config", [f"hydra/sweeper={sweeper}"], return_hydra_config=True)
    line = line_for(caught.value, ["--multirun", f"hydra/sweeper={sweeper}"])
    assert line == (
        f"hydra/sweeper={sweeper}: is not installed; leave it out, since the default {reason}"
    )


@pytest.mark.parametrize(
    ("uri", "module", "package"),
    [
        ("postgresql+psycopg://me:hushhush1@host/x", "psycopg", "'/path/to/sweeper[postgres]'"),
        ("postgresql+psycopg2://me:hushhush1@host/x", "psycopg2", "'/path/to/sweeper[postgres]'"),
        ("mysql://me:hushhush1@host/x", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql://me:hushhush1@host/x", "pymysql", "pymysql"),
        ("mysql+mysqlconnector://me@host/x", "mysql", "mysql-connector-python"),
        ("mssql+pyodbc://me@host/x", "pyodbc", "pyodbc"),
    ],
)
def test_a_driver_that_is_not_installed_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, refuses, uri: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with refuses(ConfigError, r"storage=\w+\S*: the driver \w+ cannot be imported") as caught:
        check_driver("hydra.sweeper.storage", uri)
    assert str(caught.value).endswith(f" pip install {package}")
    assert "; type python -m " in str(caught.value)
    assert " uv" in str(caught.value)  # whose environments have no pip
    assert "hushhush1" not in str(caught.value)


@pytest.mark.parametrize("uri", ["sqlite:///x.db", "http://host:5000", "databricks", "odd://h/x"])
def test_a_uri_without_a_driver_of_its_own_passes(uri: str) -> None:
    check_driver("tracking.uri", uri)
