"""`python -m sweeper.explain` for studies of the sphere application."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

SPACE = ("x=choice(0.5,1.0,2.0)", "shape.radius=choice(0.1,1.0)", "steps=2", "hydra/launcher=basic")


def explain(app, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [app.python, "-m", "sweeper.explain", "multirun/s", *arguments],
        cwd=app.cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_missing_runs_are_done_once_and_the_rest_is_reused(app) -> None:
    winner = "hydra.sweeper.enqueue=[{x: 0.5, shape.radius: 0.1}]"
    app.run(*SPACE, winner, "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false")
    out = explain(app)
    assert "n_trials=1: has no effect" not in out  # the ablation has its own
    assert "shape.radius (1 -> 0.1) mattered most: it brought +0.9000, all changes +1.6500." in out
    assert "The rest, x, brought +0.7500." in out
    assert out.count("Study s-explain-0: ") == 2  # a line for each step, in place of the plan
    assert "searches" not in out
    assert "Train it again" not in out  # nor the other results of the study that runs them
    runs = app.folder / "explain/0"
    assert sorted(p.name for p in runs.glob("[0-9]*")) == ["0", "1", "2"]
    assert (app.folder / "explanation.png").is_file()
    again = explain(app)
    assert "mattered most" in again
    assert "trial" not in again
    assert len(app.trials()) == 1


def test_runs_are_as_long_as_that_of_the_winner(app) -> None:
    space = (*SPACE[:2], "hydra/launcher=basic", "hydra.sweeper.warm_start=false",
             "hydra.sweeper.growing=[steps]")  # fmt: skip
    winner, default = "{x: 0.5, shape.radius: 0.1}", "{x: 1.0, shape.radius: 1.0}"
    app.run(*space, "steps=2", f"hydra.sweeper.enqueue=[{winner}]", "hydra.sweeper.n_trials=1")
    app.run(*space, "steps=3", f"hydra.sweeper.enqueue=[{winner},{default}]",
            "hydra.sweeper.n_trials=2")  # fmt: skip
    assert [len(t.intermediate_values) for t in app.trials()] == [2, 3]
    assert "it brought +0.9000, all changes +1.6500." in explain(app)
    runs = [yaml.safe_load(file.read_text())["steps"] for file in
            (app.folder / "explain/0").glob("[0-9]*/.hydra/config.yaml")]  # fmt: skip
    assert runs == [2, 2, 2]


def test_a_full_grid_needs_no_further_run(app) -> None:
    app.run(*SPACE)
    assert "mattered most" in explain(app)
    assert not (app.folder / "explain").exists()


def test_the_option_of_a_group_is_a_step_with_the_values_that_belong_to_it(app) -> None:
    point = "hydra.sweeper.enqueue=[{shape: plane, shape.tilt: 0.25, shape.size: 4, x: 0.5}]"
    space = ("shape=sphere,plane", "x=choice(0.5,1.0)", "hydra.sweeper.auto=true")
    app.run(*space, point, "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false",
            "hydra/launcher=basic")  # fmt: skip
    out = explain(app)
    assert "shape (sphere -> plane) mattered most: it brought +0.7500, all changes +1.5000" in out
    assert "with shape=plane: shape.tilt=0.25 shape.size=4" in out
    assert "The rest, x, brought +0.7500." in out
    lines = (app.folder / "explain/0").glob("[0-9]*/.hydra/overrides.yaml")
    runs = sorted(tuple(sorted(yaml.safe_load(each.read_text()))) for each in lines)
    assert runs == [
        ("shape.size=1", "shape=sphere", "x=0.5"),
        ("shape.size=1", "shape=sphere", "x=1.0"),
        ("shape.size=4", "shape.tilt=0.25", "shape=plane", "x=1.0"),
    ]
    again = explain(app)
    assert "mattered most" in again
    assert "trial" not in again


def test_the_trials_of_both_options_are_used_again(app) -> None:
    default = "{shape: sphere, shape.radius: 1, shape.size: 1, x: 1.0}"
    winner = "{shape: plane, shape.tilt: 0.25, shape.size: 4, x: 0.5}"
    other = "{shape: sphere, shape.radius: 2, shape.size: 1, x: 0.5}"  # not the default radius
    app.run("shape=sphere,plane", "x=choice(0.5,1.0)", "hydra.sweeper.auto=true",
            f"hydra.sweeper.enqueue=[{default},{winner},{other}]", "hydra.sweeper.n_trials=3",
            "hydra.sweeper.warm_start=false", "hydra/launcher=basic")  # fmt: skip
    assert "shape (sphere -> plane) mattered most: it brought +0.7500" in explain(app)
    lines = (app.folder / "explain/1").glob("[0-9]*/.hydra/overrides.yaml")
    runs = sorted(tuple(sorted(yaml.safe_load(each.read_text()))) for each in lines)
    assert runs == [
        ("shape.size=1", "shape=sphere", "x=0.5"),
        ("shape.size=4", "shape.tilt=0.25", "shape=plane", "x=1.0"),
    ]


def test_an_option_of_a_group_without_a_default_is_there_from_the_start(app, tmp_path) -> None:
    more = tmp_path / "more/extra"
    more.mkdir(parents=True)
    for name, luck in (("one", 1), ("two", 2)):
        (more / f"{name}.yaml").write_text(f"# @package _global_\nluck: {luck}\nseed: 1\n")
    app.run("+extra@_global_=one,two", "x=choice(0.5,1.0)", "hydra/launcher=basic",
            "--config-dir", "more")  # fmt: skip
    out = explain(app)
    assert "default config with +extra@_global_=" in out
    assert "x (1 -> 0.5) mattered most" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epochs=0"], "epochs=0: must be a number"),
        (["x"], "type python -m sweeper.explain"),
        (["study=x"], "names no folder; type python -m sweeper.explain multirun/x"),
    ],
)
def test_what_cannot_be_explained_is_refused(app, arguments, message) -> None:
    app.folder.mkdir(parents=True)
    assert message in explain(app, *arguments, code=1)
    assert "not the folder of a study" in explain(app, code=1)


def test_a_run_that_fails_is_told_and_the_others_are_done(app) -> None:
    winner = "hydra.sweeper.enqueue=[{x: 0.5, shape.radius: 0.1}]"
    app.run(*SPACE, winner, "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false",
            "breaks_above=0.8")  # fmt: skip
    for _ in range(2):
        out = explain(app)
        assert "The run of the default config failed; with x (1 -> 0.5) it did not." in out
        assert "mattered most: it brought +0.9000, all changes +0.9000" in out
    assert (app.folder / "explanation.png").is_file()


def test_a_winner_that_fails_within_the_bounds_is_not_explained(app) -> None:
    winner = "hydra.sweeper.enqueue=[{x: 2.0, shape.radius: 1.0}]"
    app.run(*SPACE, winner, "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false",
            "+trainer.epochs=5", "breaks_above=${trainer.epochs}")  # fmt: skip
    out = explain(app, "epochs=1", code=1)
    assert "the run with all values of the winner failed; see " in out
    assert "Traceback" not in out


def test_a_changed_default_is_refused_before_any_run(app) -> None:
    source = app.cwd / "sphere"
    shutil.copytree(Path(__file__).parent / "sphere", source)
    app = replace(app, script=source / "app.py")
    winner = "hydra.sweeper.enqueue=[{x: 0.5, shape.radius: 0.1}]"
    app.run(*SPACE, winner, "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false")
    file = source / "conf/config.yaml"
    file.write_text(file.read_text().replace("returns: null", "returns: 3"))
    [line] = explain(app, code=1).splitlines()
    assert line.startswith(
        "the settings of study s have changed since it was started (returns: null -> 3); "
    )
    assert line.endswith("study=fresh (hydra.sweeper.study=fresh)")
    assert not (app.folder / "explain").exists()
