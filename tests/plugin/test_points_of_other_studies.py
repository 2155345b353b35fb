"""Studies that begin with points of other studies and runs, in real processes."""

import pytest
from optuna.trial import TrialState

from sweeper.sweep.budget import is_own
from sweeper.tracking.store import MLflowStore

RANDOM = ("hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none", "hydra/launcher=basic")
OTHER = "hydra.sweeper.study_name=other"


def started_points(app):
    return [t.params for t in app.trials() if is_own(t)]


@pytest.mark.parametrize(
    ("storage", "source"),
    [
        (None, "multirun/other"),
        ("sqlite:///x.db", "sqlite:///x.db other"),
    ],
)
def test_the_best_points_of_another_study_are_tried_once(app, storage, source) -> None:
    where = [] if storage is None else [f"hydra.sweeper.storage={storage}"]
    app.run(*RANDOM, OTHER, *where, "x=choice(-3,-2,2,0)", "steps=1,2", "hydra.sweeper.n_trials=8")
    command = (*RANDOM, "x=interval(-2.0,3.0)", "hydra.sweeper.warm_start=false",
               f"hydra.sweeper.enqueue_from={{from: {source}, n: 2}}")  # fmt: skip
    out = app.run(*command, "hydra.sweeper.n_trials=3")
    assert "2 points taken of 8 complete trials; not searched here: steps; outside" in out
    assert started_points(app)[0] == {"x": 0.0}
    assert abs(started_points(app)[1]["x"]) == 2
    app.run(*command, "hydra.sweeper.n_trials=6")
    points = [point["x"] for point in started_points(app)]
    assert len(points) == 6
    assert len({*points} & {0.0, 2.0, -2.0}) == 2


def test_trials_of_another_study_inform_the_sampler_and_count_nowhere(app) -> None:
    app.run(*RANDOM, OTHER, "x=choice(0,1,2)", "hydra.sweeper.n_trials=3")
    source = "hydra.sweeper.enqueue_from={from: multirun/other, use: trials}"
    command = ("x=choice(0,1,2,3)", source, "hydra/launcher=basic", "hydra/sweeper/pruner=none")
    out = app.run(*command, "hydra.sweeper.n_trials=2")
    app.run(*command, "hydra.sweeper.n_trials=3")
    imported = [t for t in app.trials() if not is_own(t)]
    assert "3 trials taken of 3 complete trials" in out
    assert "2 of 2 trials done" in out
    assert sorted(t.value for t in imported) == [1, 2, 5]
    assert all(t.state == TrialState.COMPLETE for t in imported)
    assert len(started_points(app)) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("multirun/none", "there is no such folder"),
        ("sqlite:///none.db s", "there is no file"),
        ("mlflow:digits", "the metric of the objective is not known"),
        ("{from: mlflow:digits, metric: m}", "there is no MLflow database"),
        ("postgresql://me:hunter2hunter@localhost:1/x s", "cannot be opened"),
        ("{from: multirun/s, n: 0}", "at least 1"),
    ],
)
def test_a_bad_source_is_refused_before_any_work(app, source, message) -> None:
    out = app.run(*RANDOM, "x=interval(0,1)", f"hydra.sweeper.enqueue_from={source}", code=1)
    assert message in out
    assert "hunter2" not in out
    assert not app.folder.exists()


def test_a_study_does_not_take_points_from_itself(app) -> None:
    app.run(*RANDOM, "x=interval(0,1)", "hydra.sweeper.n_trials=1")
    out = app.run(*RANDOM, "x=interval(0,1)", "hydra.sweeper.study=fresh",
                  "hydra.sweeper.enqueue_from=multirun/s", code=1)  # fmt: skip
    assert "is this study itself" in out
    assert app.states() == ["COMPLETE"]


def test_the_best_runs_of_an_mlflow_experiment_are_tried(app) -> None:
    client = MLflowStore(f"sqlite:///{app.cwd}/mlflow.db", app.cwd).client
    experiment = client.create_experiment("spheres", artifact_location=str(app.cwd))
    for x, status in [("0.5", "FINISHED"), ("0.0", "KILLED"), ("2", "FINISHED"), ("9", "FINISHED")]:
        run = client.create_run(experiment).info.run_id
        client.log_param(run, "x", x)
        client.log_param(run, "shape", "plane")
        client.log_metric(run, "best/val_loss", float(x) ** 2)
        client.set_terminated(run, status)
    source = "{from: mlflow:spheres, metric: val/loss}"
    space = ("x=interval(0.0,5.0)", "shape=sphere,plane", "hydra.sweeper.warm_start=false")
    out = app.run(
        *RANDOM, *space, "hydra.sweeper.n_trials=2", f"hydra.sweeper.enqueue_from={source}"
    )
    assert "3 points taken of 3 finished runs; outside the range here: x" in out
    expected = [{"x": 0.5, "shape": "plane"}, {"x": 2.0, "shape": "plane"}]
    assert started_points(app)[:2] == expected
