import os
import pickle
from enum import Enum
from pathlib import Path

import cloudpickle
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from sweeper.hydra_versions import COMPOSING
from sweeper.space.compose import Composer
from sweeper.space.space import Space, parse_space


def composed_by_hydra(loader, master, lines):
    config = loader.load_sweep_config(master, lines)
    config.hydra.job.id, config.hydra.job.num = "7", 7
    config.hydra.sweep.dir = "/study"
    return OmegaConf.to_container(config)


@pytest.mark.parametrize(
    ("fixed", "params"),
    [
        ([], {"x": 2.5}),
        (["steps=4"], {"x": 1}),
        ([], {"shape": "plane", "shape.tilt": 0.25}),
        (["shape=plane"], {"shape.tilt": 1e-5, "+extra": "[1,2]"}),
        (["~step_seconds"], {"x": "null", "shape.search.radius": "'a b'"}),
        (["+shape@other=plane"], {"other.tilt": True}),
    ],
)
def test_a_composed_trial_equals_hydras_own(loader, master, fixed, params) -> None:
    composer = Composer(loader, master, parse_space(fixed, loader))
    composer.compose({k: params[k] for k in params}, 0, Path("/study"))
    config = composer.compose(params, 7, Path("/study"))
    assert OmegaConf.to_container(config) == composed_by_hydra(
        loader, master, composer.overrides(params)
    )


@pytest.mark.parametrize(
    ("lines", "radius"),
    [(["shape.radius=3,4", "shape={radius:9}"], 9), (["shape={radius:9}", "shape.radius=3,4"], 4)],
)
def test_of_overlapping_overrides_the_last_one_counts(loader, master, lines, radius) -> None:
    composer = Composer(loader, master, parse_space(lines, loader))
    params = {"shape.radius": 4}
    config = composer.compose(params, 7, Path("/study"))
    assert config.shape.radius == radius
    lines = composer.overrides(params)
    assert OmegaConf.to_container(config) == composed_by_hydra(loader, master, lines)


def test_values_of_one_trial_do_not_appear_in_the_next(loader, master) -> None:
    composer = Composer(loader, master, parse_space([], loader))
    composer.compose({"x": 5}, 0, Path())
    assert composer.compose({"steps": 2}, 1, Path()).x == 1.0


def test_an_unknown_key_raises_hydras_own_error(loader, master) -> None:
    composer = Composer(loader, master, parse_space([], loader))
    with pytest.raises(HydraException, match="Could not override 'nothing'"):
        composer.compose({"nothing": 5}, 0, Path())


@pytest.mark.parametrize("fixed", [("steps=3",), ("steps=3", "shape.size=4", "shape={size:5}")])
def test_a_parameter_takes_the_place_of_a_fixed_override(live, tmp_path, fixed) -> None:
    composer = live("x=1,2", *fixed).composer
    config = composer.compose({"x": 1, "steps": 7}, 0, tmp_path)
    assert config.steps == 7
    assert [o for o in config.hydra.overrides.task if o.startswith("steps=")] == ["steps=7"]


@pytest.mark.parametrize("params", [{"x": 2.5}, {"shape": "plane", "shape.tilt": 0.25}])
def test_another_process_composes_the_same_and_asks_hydra_for_nothing(
    loader, master, monkeypatch, params
) -> None:
    composer = Composer(loader, master, parse_space(["steps=4"], loader))
    composer.compose(params, 0, Path())
    changed = master.copy()
    changed.hydra.sweep.dir = "/elsewhere"
    expected = composed_by_hydra(loader, changed, composer.overrides(params))
    other = pickle.loads(cloudpickle.dumps(composer.with_master(changed)))
    monkeypatch.setattr(type(loader), "load_sweep_config", lambda *_: pytest.fail("composed"))
    assert OmegaConf.to_container(other.compose(params, 7, Path("/study"))) == expected


def test_a_time_that_the_sweep_has_resolved_is_the_same_in_another_process(loader, master) -> None:
    composer = Composer(loader, master, parse_space(["+at='${now:%H%M%S%f}'"], loader))
    composer.option_config({})
    changed = master.copy()
    OmegaConf.update(changed, "at", "${now:%H%M%S%f}", force_add=True)
    at = changed.at
    other = pickle.loads(cloudpickle.dumps(composer.with_master(changed)))
    assert [other.compose({"x": x}, x, Path()).at for x in (1, 2)] == [at, at]


def test_types_of_the_users_program_go_along_to_another_process(
    loader, master, monkeypatch
) -> None:
    color = Enum("Color", "RED", module="__main__")
    composer = Composer(loader, master, parse_space([], loader))
    OmegaConf.update(composer.option_config({}), "color", color.RED, force_add=True)
    monkeypatch.setattr("__main__.Color", color, raising=False)
    sent = cloudpickle.dumps(composer)
    monkeypatch.delattr("__main__.Color")
    assert pickle.loads(sent).compose({}, 0, Path()).color.name == "RED"


def test_the_environment_that_a_job_copies_is_that_of_its_own_process(loader, monkeypatch) -> None:
    lines = ["hydra.job.env_copy=[SHARE,MY_API_KEY]"]
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("SHARE", "all")
    monkeypatch.setenv("MY_API_KEY", "s3cret-1")
    own = loader.load_configuration("config", lines, RunMode.MULTIRUN)
    composer = Composer(loader, own, parse_space([], loader))
    composer.option_config({})
    sent = cloudpickle.dumps(composer)
    monkeypatch.setenv("SHARE", "one")
    monkeypatch.setenv("MY_API_KEY", "s3cret-2")
    config = pickle.loads(sent).compose({}, 0, Path())
    assert config.hydra.job.env_set == {"SHARE": "one", "MY_API_KEY": "s3cret-2"}
    assert "s3cret" not in OmegaConf.to_yaml(config)


@pytest.mark.parametrize("typed", [[], ["hydra.mode=MULTIRUN"]])
@pytest.mark.parametrize(("text", "expected"), [("{mode: MULTIRUN}", True), ("{}", False)])
def test_a_config_may_start_a_study_without_the_flag(tmp_path, text, expected, typed) -> None:
    (tmp_path / "config.yaml").write_text(f"x: 1\nhydra: {text}")
    with initialize_config_dir(str(tmp_path), **COMPOSING):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", ["x=1,2", *typed], RunMode.MULTIRUN)
        assert Composer(loader, master, Space()).starts_study is expected
