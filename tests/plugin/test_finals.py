"""What follows a search: its winner is handed to a function, once, whoever dies meanwhile."""

import pytest
from omegaconf import OmegaConf

pytestmark = pytest.mark.slow
NOTE = ("hydra.sweeper.conclude=finals.note", "hydra.sweeper.warm_start=false")
RANDOM = ("x=range(1,100)", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1")


def calls(app) -> list[str]:
    file = app.cwd / "concluded.txt"
    return file.read_text().splitlines() if file.exists() else []


def results(app):
    return OmegaConf.load(app.folder / "optimization_results.yaml")


def test_the_winner_alone_is_scored_and_only_once(app) -> None:
    out = app.run("x=3,2,4", *NOTE, "hydra.sweeper.n_jobs=2")
    again = app.run("x=3,2,4", *NOTE, "hydra.sweeper.n_jobs=2")
    assert calls(app) == ["trial 1 x=2 in 1"]
    assert results(app).scores == {"test/loss": 2.0}
    assert "Scored once, at the end: test/loss 2.0000" in out
    assert "Scored once, at the end: test/loss 2.0000" in again
    assert "nothing to run" in again
    assert len(app.trials()) == 3


def test_a_larger_study_is_scored_again_if_it_has_another_winner(app) -> None:
    for n_trials in (2, 3, 40):
        app.run(*RANDOM, *NOTE, f"hydra.sweeper.n_trials={n_trials}", "hydra/launcher=basic")
    values = [t.value for t in app.trials()]
    winners = [min(range(n), key=values.__getitem__) for n in (2, 3, 40)]
    expected = list(dict.fromkeys(winners))
    assert [line.split()[1] for line in calls(app)] == list(map(str, expected))
    assert len(expected) > 1


@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_a_worker_that_dies_while_it_scores_is_replaced(app, launcher) -> None:
    (app.cwd / "kill").touch()
    command = ("x=3,2", *NOTE, f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=1")
    out = app.run(*command, code=-9 if launcher == "basic" else 0)
    if launcher == "basic":  # the command itself has died
        out = app.run(*command)
    assert "Scored once, at the end: test/loss 2.0000" in out
    assert calls(app) == ["trial 1 x=2 in 1"] * 2
    assert app.states() == ["COMPLETE"] * 2


def test_two_commands_at_once_score_one_winner_once(app) -> None:
    command = (*RANDOM, *NOTE, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2")
    processes = [app.start(*command) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    assert len(calls(app)) == 1


def test_what_fails_is_said_and_tried_again_by_a_later_command(app) -> None:
    (app.cwd / "broken").touch()
    out = app.run("x=3,2", *NOTE, "hydra.sweeper.n_jobs=1")
    assert "Not scored: ValueError: the file is broken; see " in out
    assert "scores" not in results(app)
    (app.cwd / "broken").unlink()
    app.run("x=3,2", *NOTE, "hydra.sweeper.n_jobs=1")
    assert results(app).scores == {"test/loss": 2.0}


def test_a_study_that_lacks_points_is_not_scored_unless_they_may_fail(app) -> None:
    command = ("x=1,2,5", "breaks_above=4", *NOTE, "hydra/launcher=basic")
    app.run(*command, code=1)
    assert calls(app) == []
    app.run(*command, "hydra.sweeper.max_failure_rate=0.5")
    assert calls(app) == ["trial 0 x=1 in 0"]


@pytest.mark.parametrize(("best", "scored"), [([], []), (["hydra.sweeper.best=0"], [0])])
def test_of_a_pareto_front_the_chosen_member_is_scored(app, best, scored) -> None:
    app.run("x=1,2", "returns=[1.0,2.0]", "hydra.sweeper.direction=[minimize,maximize]", *NOTE,
            *best, "hydra/launcher=basic")  # fmt: skip
    assert calls(app) == [f"trial {number} x=1 in {number}" for number in scored]


def test_of_several_seeds_the_one_in_the_best_folder_is_scored(app) -> None:
    app.run("x=1,2", "+seed=4", "hydra.sweeper.repeats=2", *NOTE, "hydra/launcher=basic")
    assert calls(app) == ["trial 0 x=1 in seed-4"]
