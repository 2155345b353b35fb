"""Faults that a study meets: signals to its processes, trials that kill their process or hang."""

import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from sweeper.sweep.lease import Lease
from sweeper.sweep.storage import open_storage

SPACE = ("x=interval(-3,3)", "hydra/sweeper/pruner=none", "hydra/sweeper/sampler=random",
         "hydra.sweeper.sampler.seed=1", "hydra.sweeper.warm_start=false")  # fmt: skip
IMPATIENT = """
from sweeper.sweep.guard import GRACE_SECONDS
GRACE_SECONDS.update(trial_timeout=1.0, timeout=1.0, lost=1.0)
"""
LAUNCHERS = ["local", "joblib", "submitit_local"]


def lease(trial):
    return Lease.read(trial.system_attrs)


def running(app):
    return [t for t in app.trials() if t.state.name == "RUNNING" and t.intermediate_values]


def started(app) -> bool:
    return bool(running(app))


def put_back(app) -> bool:
    return not any(t.state.name == "RUNNING" for t in app.trials())


@pytest.mark.parametrize(
    ("launcher", "number", "code"),
    [
        ("basic", signal.SIGTERM, 143),
        ("local", signal.SIGTERM, 143),
        ("local", signal.SIGHUP, 129),
        ("joblib", signal.SIGINT, 130),
        ("submitit_local", signal.SIGTERM, 143),
    ],
)
def test_a_signal_to_the_command_puts_the_trials_back(
    app, wait_for, launcher, number, code
) -> None:
    command = (*SPACE, f"hydra/launcher={launcher}", "hydra.sweeper.n_trials=3",
               "hydra.sweeper.n_jobs=2", "steps=30", "step_seconds=0.1")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: started(app))
    process.send_signal(number)
    sent = time.monotonic()
    wait_for(lambda: put_back(app))
    seconds = time.monotonic() - sent
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    assert "the same command resumes it" in out
    assert seconds < 5
    assert all(lease(t).deaths == 0 for t in app.trials())
    app.run(*command)
    assert app.states() == ["COMPLETE"] * 3
    assert all(len(t.intermediate_values) == 30 for t in app.trials())


@pytest.mark.parametrize("launcher", ["local", "basic"])
def test_a_trial_that_another_program_began_is_named_before_anyone_waits(app, launcher) -> None:
    command = (*SPACE, "hydra.sweeper.lease_seconds=1", f"hydra/launcher={launcher}")
    app.run(*command, "hydra.sweeper.n_trials=1")
    optuna.load_study(study_name="s", storage=open_storage(None, app.folder)).ask()
    out = app.run(*command, "hydra.sweeper.n_trials=2")
    line = (
        "Waiting up to 1 s for a sign of life of trial 1: another host or program has begun it; "
        "without one, it is run again"
    )
    assert out.count(line) == 1
    assert app.states() == ["COMPLETE"] * 2


def test_a_task_that_does_not_listen_is_put_back_within_five_seconds(app, wait_for) -> None:
    process = app.start(*SPACE, "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=2",
                        "steps=2", "step_seconds=100")  # fmt: skip
    wait_for(lambda: (app.folder / "0/.hydra").exists() and (app.folder / "1/.hydra").exists())
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    process.communicate(timeout=60)
    assert time.monotonic() - sent < 7
    assert process.returncode == 143
    assert app.states() == ["WAITING"] * 2
    assert all(lease(t).deaths == 0 for t in app.trials())


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_is_asked_to_end_or_killed_is_replaced(
    app, wait_for, launcher, number
) -> None:
    process = app.start(*SPACE, f"hydra/launcher={launcher}", "hydra.sweeper.n_trials=6",
                        "hydra.sweeper.n_jobs=2", "steps=6", "step_seconds=0.1")  # fmt: skip
    wait_for(lambda: started(app))
    os.kill(lease(running(app)[0]).pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert app.states() == ["COMPLETE"] * 6
    assert "interrupted" not in out
    assert sum(lease(t).cuts for t in app.trials()) == 1
    assert number == signal.SIGKILL or all(lease(t).deaths == 0 for t in app.trials())


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_trial_that_kills_its_worker_fails_and_the_others_do_not(app, launcher) -> None:
    out = app.run("x=choice(1,2,9)", "dies_above=8", f"hydra/launcher={launcher}",
                  "hydra.sweeper.n_jobs=2", "hydra.sweeper.max_retries=1", code=1)  # fmt: skip
    states = {t.params["x"]: t for t in app.trials()}
    assert [states[x].state.name for x in (1, 2, 9)] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert "its worker died 2 times" in states[9].user_attrs["failure"]
    assert "2 of 3 trials done" in out
    assert "Traceback" not in out


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_trial_that_was_killed_before_it_saved_anything_starts_anew(app, seeds) -> None:
    app.run("x=1,2", "dies_first=true", "resumes=true", "hydra.sweeper.n_jobs=1", "steps=2",
            "+seed=0", f"hydra.sweeper.repeats={seeds}")  # fmt: skip
    assert app.states() == ["COMPLETE"] * 2
    assert [lease(t).cuts for t in app.trials()] == [seeds, seeds]


@pytest.fixture
def impatient(app, tmp_path, monkeypatch):
    """The application, whose tasks may go on for a second only after a time limit."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(IMPATIENT)
    paths = filter(None, [os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *paths]))
    return replace(app, python=sys.executable)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_trial_that_hangs_fails_after_its_time_limit(impatient, launcher) -> None:
    out = impatient.run("x=choice(1,2,9)", "hangs_above=8", f"hydra/launcher={launcher}",
                  "hydra.sweeper.n_jobs=2", "hydra.sweeper.trial_timeout=2s", code=1)  # fmt: skip
    states = {t.params["x"]: t for t in impatient.trials()}
    assert [states[x].state.name for x in (1, 2, 9)] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert "trial_timeout" in states[9].user_attrs["failure"]
    failure = Path(states[9].user_attrs["sweeper:failure_file"])
    assert "time.sleep(10_000)" in failure.read_text()
    assert str(failure) in out


def test_a_timeout_holds_in_the_middle_of_a_step(impatient) -> None:
    began = time.monotonic()
    out = impatient.run(*SPACE, "hydra.sweeper.timeout=15s", "hydra.sweeper.n_jobs=2", "steps=2",
                  "step_seconds=300")  # fmt: skip
    assert time.monotonic() - began < 100
    assert set(impatient.states()) == {"WAITING"}, out


def test_the_worker_of_another_launcher_that_is_killed_is_launched_again(app, wait_for) -> None:
    """The process that joblib itself has started dies, with joblib's whole pool."""
    process = app.start(*SPACE, "hydra/launcher=joblib", "hydra.sweeper.n_trials=6",
                        "hydra.sweeper.n_jobs=2", "steps=6", "step_seconds=0.1")  # fmt: skip
    wait_for(lambda: started(app))
    inner = lease(running(app)[0]).pid
    parent = int(Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert app.states() == ["COMPLETE"] * 6
    assert "hydra/launcher=joblib failed: TerminatedWorkerError" in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("launcher", ["local", "joblib"])
def test_a_worker_that_cannot_write_ends_the_command_and_blames_no_trial(app, launcher) -> None:
    app.folder.mkdir(parents=True)
    (app.folder / "0").touch()
    command = (*SPACE, f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=1",
               "hydra.sweeper.n_trials=2")  # fmt: skip
    out = app.run(*command, code=1)
    assert f"File exists: '{app.folder / '0'}'" in out
    assert "ended early" not in out
    [trial] = app.trials()
    assert (trial.state.name, lease(trial).deaths) == ("WAITING", 0)
    (app.folder / "0").unlink()
    app.run(*command)
    assert app.states() == ["COMPLETE"] * 2


def test_a_study_that_runs_is_not_moved_away(app, wait_for) -> None:
    command = (*SPACE, "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=2", "steps=40",
               "step_seconds=0.1")  # fmt: skip
    process = app.start(*command)
    wait_for(lambda: started(app))
    assert "study s is running, in process" in app.run(
        *command, "hydra.sweeper.study=fresh", code=1
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    app.run(*command, "hydra.sweeper.study=fresh", "hydra.sweeper.n_trials=1")
    assert app.states() == ["COMPLETE"]


def test_a_study_that_was_moved_away_while_it_ran_leaves_the_new_one_alone(app, wait_for) -> None:
    keys = (*SPACE, "hydra.sweeper.n_jobs=1", "step_seconds=0.1", "hydra.sweeper.lease_seconds=3")
    process = app.start(*keys, "hydra.sweeper.n_trials=2", "steps=40")
    wait_for(lambda: started(app))
    shutil.move(app.folder, app.folder.with_name("moved"))
    app.run(*keys, "hydra.sweeper.n_trials=3", "steps=2")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "the study of this process is no longer there, since it was moved away" in err
    assert "Traceback" not in out + err
    assert app.states() == ["COMPLETE"] * 3
    assert all(len(t.intermediate_values) == 2 for t in app.trials())


def test_a_task_that_interrupts_itself_fails(app) -> None:
    out = app.run("x=choice(1,9)", "interrupts_above=8", "hydra.sweeper.n_jobs=1", code=1)
    states = {t.params["x"]: t for t in app.trials()}
    assert [states[x].state.name for x in (1, 9)] == ["COMPLETE", "FAIL"], out
    assert states[9].user_attrs["failure"].startswith("KeyboardInterrupt")
