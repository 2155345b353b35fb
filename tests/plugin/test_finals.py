"""What follows a search: finalists run a race, and the winner is handed to a function, once."""

import os
import signal
import subprocess

import optuna
import pytest
from omegaconf import OmegaConf

from journals import trials_in
from sweeper.sweep.lease import Lease
from sweeper.sweep.storage import open_storage

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
    assert [text.splitlines().count("the winner has 1 name") for text in (out, again)] == [1, 1]
    assert "nothing to run" in again
    assert len(app.trials()) == 3


def test_the_journal_of_the_study_may_be_named_as_its_storage(app) -> None:
    command = ("x=3,2,4", *NOTE, "hydra.sweeper.n_jobs=1")
    app.run(*command)
    out = app.run(*command, "hydra.sweeper.storage=multirun/s/journal.log")
    assert "Scored once, at the end: test/loss 2.0000" in out
    join = [app.python, "-m", "sweeper.worker", "multirun/s/journal.log", "s"]
    subprocess.run(join, cwd=app.cwd, check=True, capture_output=True)
    assert calls(app) == ["trial 1 x=2 in 1"]
    assert optuna.get_all_study_names(open_storage(None, app.folder)) == ["s"]


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
    processes = [app.start(*command, python=app.python) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    assert len(calls(app)) == 1


def test_a_score_that_ends_after_ctrl_c_is_told(app, wait_for) -> None:
    (app.cwd / "wait").touch()
    process = app.start("x=3,2", *NOTE, "hydra.sweeper.n_jobs=1")
    wait_for(lambda: calls(app))
    process.send_signal(signal.SIGINT)
    while "Interrupted" not in process.stdout.readline():
        assert process.poll() is None
    (app.cwd / "wait").unlink()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Scored once, at the end: test/loss 2.0000" in out
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


RACE = ("+seed=0", "+noise=0.1", "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_seeds=3")


def jobs(app):
    return trials_in(app.folder / "finals.log", "s.finals")


def keys(app) -> list[str]:
    return [t.system_attrs["sweeper:point"] for t in jobs(app)]


def test_finalists_run_with_further_seeds_on_all_workers(app) -> None:
    out = app.run("x=3,1,2", *RACE, *NOTE, "hydra.sweeper.n_jobs=2")
    assert sorted(keys(app)) == [
        *(f"1-s{end}" for end in ("cores", "eed-1", "eed-2", "eed-3")),
        *(f"2-seed-{seed}" for seed in (1, 2, 3)),
    ]
    first, second = results(app).finalists
    assert (first.trial, second.trial) == (1, 2)
    assert set(first["values"]) == {1, 2, 3}
    assert first["mean"] == pytest.approx(2, abs=0.5)
    assert second.p < 0.05
    assert f"Trial 1 (x=1) beats the next (trial 2) with p = {second.p:.2g}" in out
    assert "Finalist 2 with seed 3: " in out
    assert (app.folder / "finals/2-seed-3/.hydra/config.yaml").is_file()
    assert app.states() == ["COMPLETE"] * 3


def test_luck_in_the_search_does_not_win(app) -> None:
    command = ("x=3,1,2", "+luck=3", *RACE, *NOTE, "hydra/launcher=basic")
    app.run(*command)
    assert results(app).best_params.x == 1
    assert OmegaConf.load(app.folder / "best/config.yaml").x == 1
    assert calls(app) == ["trial 1 x=1 in 1"]
    assert "nothing to run" in app.run(*command)


def test_a_larger_study_has_another_race_and_repeats_no_run(app) -> None:
    for n_trials in (3, 30, 60):
        app.run(*RANDOM, *RACE, *NOTE, f"hydra.sweeper.n_trials={n_trials}",
                "hydra/launcher=basic")  # fmt: skip
    assert len(keys(app)) == len(set(keys(app)))
    best = sorted(t.params["x"] for t in app.trials())[:2]
    assert [app.trials()[f.trial].params["x"] for f in results(app).finalists] == best


def test_a_finalist_is_trained_for_as_many_epochs_as_its_trial(app) -> None:
    command = ("x=1,2", *RACE[:1], "+noise=99", "hydra.sweeper.finalists=2", *NOTE,
               "hydra.sweeper.growing=[steps]", "hydra/launcher=basic")  # fmt: skip
    app.run(*command, "steps=2", "hydra.sweeper.finalist_seeds=2")
    out = app.run(*command, "steps=5", "hydra.sweeper.finalist_seeds=3")
    assert [len(t.intermediate_values) for t in app.trials()] == [2, 2]
    runs = [t for t in jobs(app) if "seed" in t.system_attrs["sweeper:point"]]
    assert [len(t.intermediate_values) for t in runs] == [2] * 6
    assert "steps=2" in out.splitlines()[-1]


def test_a_smaller_study_does_not_wait_for_a_trial_that_was_killed(app, wait_for) -> None:
    command = (*RANDOM, *RACE[:2], *NOTE, "hydra.sweeper.n_jobs=1", "steps=9",
               "hydra.sweeper.steering=[step_seconds]")  # fmt: skip
    process = app.start(*command, "hydra.sweeper.n_trials=9", "step_seconds=0.2")
    wait_for(lambda: (app.folder / "2/steps.log").exists())
    pids = [Lease.read(t.system_attrs).pid for t in app.trials() if t.state.name == "RUNNING"]
    for pid in (process.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    out = app.run(*command, *RACE[2:], "hydra.sweeper.n_trials=2", "step_seconds=0")
    assert app.states() == ["COMPLETE", "COMPLETE", "WAITING"]
    assert "running elsewhere" not in out
    assert len(results(app).finalists) == 2
    assert len(calls(app)) == 1


def test_a_finalists_run_is_resumed_after_its_worker_was_killed(app, wait_for) -> None:
    process = app.start("x=1,2", *RACE, *NOTE, "hydra.sweeper.n_jobs=1", "steps=8",
                        "step_seconds=0.1")  # fmt: skip
    wait_for(lambda: (app.folder / "finals/1-seed-2/steps.log").exists())
    (running,) = (t for t in jobs(app) if t.state.name == "RUNNING")
    os.kill(Lease.read(running.system_attrs).pid, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    found = {t.system_attrs["sweeper:point"]: t for t in jobs(app)}
    assert len(found) == len(jobs(app)) == 7
    killed = found["1-seed-2"]
    assert sorted(killed.intermediate_values) == list(range(8))
    assert killed.system_attrs["sweeper:lease"]["deaths"] == 1
    assert "Trial 0 (x=1) beats the next (trial 1)" in out


def test_ctrl_c_puts_a_finalists_run_back(app, wait_for) -> None:
    command = ("x=1,2", *RACE, "hydra.sweeper.n_jobs=2", "steps=8", "step_seconds=0.1")
    process = app.start(*command)
    wait_for(lambda: (app.folder / "finals/1-seed-1/steps.log").exists())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The finalists' runs are not complete" in out
    assert "WAITING" in {t.state.name for t in jobs(app)}
    assert "beats the next" in app.run(*command)
    assert len(keys(app)) == len(set(keys(app))) == 6


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["x=1,2"], "hydra.sweeper.finalists: needs a whole number as the config's key seed"),
        (["seed=1,2"], "finalists=2: each trial gets its own seeds, so seed cannot be swept"),
        (["x=1,2", "hydra.sweeper.direction=[minimize,minimize]"], "null for a study with several"),
    ],
)
def test_what_cannot_have_finalists_is_refused(app, overrides, message) -> None:
    command = (*overrides, "hydra.sweeper.finalists=2", "hydra/launcher=basic")
    assert message in app.run(*(f"+{o}" if o.startswith("seed") else o for o in command), code=1)
