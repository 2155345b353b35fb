"""`best/` and the commands of studies with any layout of folders, run in real processes."""

import shlex
import subprocess

import pytest
from omegaconf import OmegaConf

BASIC = "hydra/launcher=basic"
POINTS = ("x=2,0.5,1", "steps=2", BASIC)
TWO = ("direction=[minimize,maximize]", "metric=[loss,size]")


@pytest.mark.parametrize(
    ("subdir", "folder", "launcher"),
    [
        ("${hydra.job.num}_${hydra.job.override_dirname}", "1_steps=2,x=0.5", "local"),
        ("${hydra:job.num}/${x}", "1/0.5", "basic"),
        ("/${x}", None, "basic"),
        ("${hydra.job.override_dirname}", "x=0.5", "basic"),
        ("best_${x}", "best_0.5", "basic"),
    ],
)
def test_any_layout_has_a_best_folder(app, tmp_path, subdir, folder, launcher) -> None:
    exclude = (
        [] if folder != "x=0.5" else ["hydra.job.config.override_dirname.exclude_keys=[steps]"]
    )
    subdir = subdir if folder else f"{tmp_path}/elsewhere{subdir}"
    app.run("x=2,0.5,1", "steps=2", f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=2",
            f"hydra.sweep.subdir='{subdir}'", *exclude)  # fmt: skip
    source = app.folder / folder if folder else tmp_path / "elsewhere/0.5"
    assert (app.folder / "best/steps.log").samefile(source / "steps.log")
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 0.5


@pytest.mark.parametrize("output_subdir", ["meta/hydra", "h${hydra.job.num}", "."])
def test_hydras_config_is_at_the_top_wherever_it_was_written(app, output_subdir) -> None:
    app.run(*POINTS, f"hydra.output_subdir='{output_subdir}'")
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 0.5


def test_without_files_of_hydra_the_best_folder_has_no_config(app) -> None:
    app.run(*POINTS, "hydra.output_subdir=null")
    assert (app.folder / "best/steps.log").exists()
    assert not (app.folder / "best/config.yaml").exists()


def test_a_study_that_goes_on_has_its_new_best_trial_in_the_folder(app) -> None:
    space = ("x=1,2,0.5", "hydra/sweeper/sampler=grid", BASIC, "hydra.sweep.subdir='${x}'")
    app.run(*space, "hydra.sweeper.n_trials=2")
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 1
    app.run(*space, "hydra.sweeper.n_trials=3")
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 0.5


def test_trials_in_a_folder_named_best_are_kept(app) -> None:
    out = app.run(*POINTS, "hydra.sweep.subdir='best/${x}'")
    assert sorted(p.name for p in (app.folder / "best").iterdir()) == ["0.5", "1", "2"]
    assert "best was not made (trials have their folders in it)" in out


@pytest.mark.parametrize(("best", "x"), [("knee", "0.5"), ("size", "2"), ("0", "0.5")])
def test_the_chosen_member_of_a_front_is_in_the_folder(app, best, x) -> None:
    settings = [f"hydra.sweeper.{each}" for each in TWO]
    command = ("x=0.5,2", "returns=[${x},${x}]", BASIC, *settings)
    out = app.run(*command)
    assert not (app.folder / "best").exists()
    assert "add hydra.sweeper.best=knee" in out
    app.run(*command, f"hydra.sweeper.best={best}")
    assert OmegaConf.load(app.folder / "best/config.yaml").x == float(x)
    assert len(app.trials()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hydra.sweeper.best=knee",), "hydra.sweeper.best=knee: must be null with a single"),
        (("hydra.sweeper.best=[0]",), "hydra.sweeper.best=['0']: must be knee, the name or the"),
        (("hydra.sweeper.direction=[minimize,maximize]", "hydra.sweeper.best=2"),
         "hydra.sweeper.best=2: must be knee, the number of an objective (0 or 1), or null"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_refused_before_the_first_trial(app, arguments, message) -> None:
    assert message.replace("'0'", "0") in app.run(*POINTS, *arguments, code=1)
    assert not app.folder.exists()


def test_each_command_of_a_front_trains_its_member(app) -> None:
    settings = [f"hydra.sweeper.{each}" for each in TWO]
    app.run("x=0.5,2", "returns=[${x},${x}]", BASIC, *settings)
    lines = (app.folder / "front.sh").read_text().splitlines()
    commands = [line for line in lines if not line.startswith("#")]
    assert len(commands) == 2
    for command, x in zip(commands, (0.5, 2), strict=True):
        words = [app.python, *shlex.split(command)[1:], "hydra.run.dir=again"]
        subprocess.run(words, cwd=app.cwd, check=True, capture_output=True)
        assert OmegaConf.load(app.cwd / "again/.hydra/config.yaml").x == x


@pytest.mark.parametrize("subdir", ["all", ".", "${steps}", "${now:%Y}"])
def test_trials_that_would_share_a_folder_have_one_each(app, subdir) -> None:
    app.run("x=0.5,2,1", "steps=2", "hydra/launcher=local", "hydra.sweeper.n_jobs=2",
            f"hydra.sweep.subdir='{subdir}'")  # fmt: skip
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 0.5
    logs = [path for path in app.folder.rglob("steps.log") if "best" not in path.parts]
    assert len(logs) == 3
