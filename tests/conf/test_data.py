from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sweeper.hydra_versions import COMPOSING

CONF = Path(__file__).parents[2] / "conf"
OPTIONS = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


@pytest.fixture
def option(monkeypatch: pytest.MonkeyPatch) -> Any:
    def load(name: str, *overrides: str) -> Any:
        with initialize_config_dir(str(CONF), **COMPOSING):
            return compose(overrides=[f"+data={name}", *overrides]).data

    return load


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_starts_from_the_shared_pipeline(option: Any, name: str) -> None:
    shared = OmegaConf.load(CONF / "pipeline.yaml")
    node = option(name)
    assert set(shared) < set(node)
    assert "defaults" not in node
    assert node.search.batch_size == "choice(32, 64, 128, 256)"


def test_an_option_overrides_the_pipeline_and_the_command_both(option: Any) -> None:
    assert option("image_folder").image_size == 64
    assert option("image_folder", "data.image_size=32").image_size == 32


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"SWEEPER_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/sweeper"),
        ({}, "~/.cache/sweeper"),
    ],
)
def test_the_cache_goes_where_the_environment_says(
    option: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str
) -> None:
    for name in ("SWEEPER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert option("digits").cache_dir == folder
