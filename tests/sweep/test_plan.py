"""What is checked before the first trial."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.utils import setup_globals
from omegaconf import OmegaConf

from sweeper.errors import ConfigError
from sweeper.sweep.plan import HYDRA_DEFAULT_SWEEP_DIR, _folder, _job_name, growing_keys


@pytest.fixture(autouse=True)
def hydras_resolvers() -> None:
    setup_globals()


def config(folder: str, **hydra: str):
    return OmegaConf.create({"hydra": {"sweep": {"dir": folder}, **hydra}})


def test_a_study_has_a_folder_of_its_name_unless_the_user_names_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _folder(config(HYDRA_DEFAULT_SWEEP_DIR), "a/b") == tmp_path / "multirun/a/b"
    assert _folder(config("x=1 y"), "s") == tmp_path / "x=1 y"


@pytest.mark.parametrize(
    ("folder", "parent"),
    [
        ("${logs}/${hydra.job}/runs/${now:%Y-%m-%d}_${now:%H-%M-%S}", "/logs/mine/runs"),
        ("runs/at_${now:%Y/%m}/x", "runs"),
        ("/${now:%Y}", "/"),
        ("${now:%Y}", ""),
        ("${oc.env:NO_SUCH_VARIABLE,/tmp/${now:%Y}}/x", "/tmp"),
        ("${oc.select:nothing,b}/${now:${format}}", "b"),
        ("${of_day}/x", "/logs/b"),
    ],
)
def test_a_time_in_the_folder_gives_way_to_the_name_of_the_study(
    tmp_path, monkeypatch, caplog, folder, parent
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweeper.sweep.plan.unusable_folder", lambda path: None)
    keys = {"logs": "/logs", "format": "%d", "of_day": "${logs}/b/${now:%Y-%m-%d}"}
    whole = OmegaConf.merge(config(folder, job="mine"), keys)
    with caplog.at_level("INFO"):
        assert _folder(whole, "s") == tmp_path / parent / "s"
    assert "without the time in hydra.sweep.dir" in caplog.text


def test_a_time_that_is_not_used_does_not_change_the_folder(monkeypatch, tmp_path, caplog) -> None:
    monkeypatch.setenv("ROOT", str(tmp_path))
    with caplog.at_level("INFO"):
        assert _folder(config("${oc.env:ROOT,/tmp/${now:%Y}}/x"), "s") == tmp_path / "x"
    assert caplog.text == ""


@pytest.mark.parametrize("folder", [HYDRA_DEFAULT_SWEEP_DIR, "multirun", "multirun/other"])
def test_a_study_in_a_folder_that_cannot_be_is_refused(
    tmp_path, monkeypatch, refuses, folder
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("multirun").write_text("a file")
    with refuses(ConfigError, "Not a directory: .*multirun is a file; type .* hydra.sweep.dir="):
        _folder(config(folder), "s")


@pytest.mark.parametrize(
    ("schedulers", "growing"),
    [
        ([{}], ["trainer.epochs"]),
        ([{}, {"step_size": 3}], ["trainer.epochs"]),
        ([{}, {"horizon": "T_max"}], []),
        ([{"horizon": "T_max"}, {}], []),
        ([{"horizon": None}], []),
        ([{}, {"horizon": "${nothing}"}], ["trainer.epochs"]),
        ([{}, {"total_iters": "${trainer.epochs}"}], []),
        ([{"total_iters": "${trainer.half}"}], []),
        ([{"total_iters": "${oc.select:trainer.half,3}"}], []),
        ([{"rates": [{"last": "${..trainer}"}, "${trainer.lr}"]}], ["trainer.epochs"]),
        ([{"run": "${trainer}"}], []),
    ],
)
def test_a_number_may_grow_if_no_option_of_the_space_forbids_it(schedulers, growing) -> None:
    assert growing_of([{"scheduler": scheduler} for scheduler in schedulers]) == growing


@pytest.mark.parametrize("key", ["unfreeze_at", "train_limit"])
def test_no_number_grows_that_a_trial_keeps_when_it_resumes(key) -> None:
    trainer = {"epochs": 4, key: "${trainer.epochs}"}
    assert growing_of([{"trainer": trainer}]) == []
    assert growing_of([{"data": {"batch_size": "${trainer.epochs}"}}]) == []
    assert growing_of([{"loss": {"gamma": "${trainer.epochs}"}}]) == []
    assert growing_of([{"model": {"layers": "${trainer.lr}"}}]) == ["trainer.epochs"]


def growing_of(options: list[dict]) -> list[str]:
    keys = {"growing": ["${oc.select:scheduler.horizon,trainer.epochs}"]}
    trainer = {"epochs": 4, "half": "${as_half:${.epochs}}", "lr": 0.1}
    composer = SimpleNamespace(
        option_config=lambda options: OmegaConf.create(
            {"hydra": {"sweeper": keys}, "trainer": trainer} | options
        )
    )
    live = SimpleNamespace(option_choices=lambda: iter(options), composer=composer)
    settings = SimpleNamespace(growing=["trainer.epochs"])
    return growing_keys(settings, live)


def test_a_folder_that_cannot_be_resolved_is_refused(refuses) -> None:
    with refuses(ConfigError, r"^hydra\.sweep\.dir: .*'nokey' not found; type a plain value$"):
        _folder(config("${nokey}"), "s")


def test_a_job_may_be_named_like_a_file_in_the_current_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweeper.log").touch()
    assert _job_name(OmegaConf.create({"hydra": {"job": {"name": "sweeper"}}})) == "sweeper"


@pytest.mark.parametrize("name", ["a/b", "..", "", "${nokey}"])
def test_a_job_whose_log_file_can_have_no_name_is_refused(name, refuses) -> None:
    with refuses(ConfigError, r"^hydra\.job\.name.*; type "):
        _job_name(OmegaConf.create({"hydra": {"job": {"name": name}}}))
