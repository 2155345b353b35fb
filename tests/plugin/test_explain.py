"""`python -m sweeper.explain` for studies of the sphere application."""

import subprocess

import pytest

pytestmark = pytest.mark.slow
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
    assert "shape.radius (1 -> 0.1) mattered most: it brought +0.9000 of +1.6500 in all." in out
    assert "The rest, x, brought +0.7500." in out
    runs = app.folder / "explain/0"
    assert sorted(p.name for p in runs.glob("[0-9]*")) == ["0", "1", "2"]
    assert (app.folder / "explanation.png").is_file()
    again = explain(app)
    assert "mattered most" in again
    assert "trial" not in again
    assert len(app.trials()) == 1


def test_a_full_grid_needs_no_further_run(app) -> None:
    app.run(*SPACE)
    assert "mattered most" in explain(app)
    assert not (app.folder / "explain").exists()


def test_groups_are_those_of_the_winner_from_the_start(app) -> None:
    app.run("shape=sphere,plane", "x=choice(0.5,1.0)", "hydra/launcher=basic")
    out = explain(app)
    assert "default config with shape=plane" in out
    assert "x (1 -> 0.5) mattered most" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["epochs=0"], "epochs=0: must be a number"), (["x"], "type python -m sweeper.explain")],
)
def test_what_cannot_be_explained_is_refused(app, arguments, message) -> None:
    app.folder.mkdir(parents=True)
    assert message in explain(app, *arguments, code=1)
    assert "not the folder of a study" in explain(app, code=1)
