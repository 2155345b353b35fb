"""Studies that several hosts share: workers that join, hosts that die, clocks that disagree.

A host is a namespace of processes and host names of its own. Both see the same disk.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.sweep.lease import Lease

SPACE = ("x=interval(-3,3)", "hydra/sweeper/pruner=none", "hydra/sweeper/sampler=random",
         "hydra.sweeper.n_jobs=1", "steps=8", "step_seconds=0.4")  # fmt: skip
CLOCK = "import time; now = time.time; time.time = lambda: now() + {seconds}"


def lease(trial) -> Lease | None:
    return Lease.read(trial.system_attrs)


@pytest.fixture
def on_host(app, tmp_path) -> Callable[..., "subprocess.Popen[str]"]:
    """Return a function that runs a command on a host of that name, with its clock set off."""
    new_namespaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    probe = shutil.which("unshare") and subprocess.run([*new_namespaces, "true"], check=False)
    if not probe or probe.returncode:
        pytest.skip("this system does not let its users create namespaces")

    def run(name: str, command: list[str], seconds: int = 0) -> "subprocess.Popen[str]":
        site = tmp_path / f"clock of {name}"
        site.mkdir()
        (site / "sitecustomize.py").write_text(CLOCK.format(seconds=seconds))
        script = f'hostname {name}; exec "$@"'
        paths = filter(None, [os.environ.get("PYTHONPATH")])
        return subprocess.Popen(
            [*new_namespaces, "sh", "-c", script, "sh", *command],
            cwd=app.cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *paths])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def joining(app, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "sweeper.worker", str(app.folder), *overrides]


def running_on(app, host: str) -> bool:
    if not (app.folder / "study.yaml").exists():
        return False
    running = [t for t in app.trials() if t.state.name == "RUNNING" and t.intermediate_values]
    return any((found := lease(t)) and found.host_name == host for t in running)


def test_a_worker_joins_a_study_and_leaves_when_it_is_done(app, on_host, wait_for) -> None:
    first = on_host("first", app.command(*SPACE, "hydra.sweeper.n_trials=8"))
    wait_for(lambda: running_on(app, "first"))
    second = on_host("second", joining(app))
    for host in (second, first):
        out, _ = host.communicate(timeout=120)
        assert host.returncode == 0, out
    assert app.states() == ["COMPLETE"] * 8
    assert {lease(t).host_name for t in app.trials()} == {"first", "second"}
    assert all(len(t.intermediate_values) == 8 and lease(t).cuts == 0 for t in app.trials())
    assert "8 of 8 trials done" in out
    assert (app.folder / "best/config.yaml").is_file()


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_no_live_trial_is_taken_over_because_of_a_clock(app, on_host, wait_for, seconds) -> None:
    first = on_host("first", app.command(*SPACE, "hydra.sweeper.n_trials=8",
                                         "hydra.sweeper.lease_seconds=3"))  # fmt: skip
    wait_for(lambda: running_on(app, "first"))
    second = on_host("second", joining(app), seconds)
    for host in (second, first):
        out, _ = host.communicate(timeout=120)
        assert host.returncode == 0, out
    assert app.states() == ["COMPLETE"] * 8
    assert all(lease(t).cuts == 0 for t in app.trials())


def test_a_study_that_runs_on_another_host_is_not_moved_away(app, on_host, wait_for) -> None:
    first = on_host("first", app.command(*SPACE, "hydra.sweeper.n_trials=4",
                                         "hydra.sweeper.lease_seconds=30"))  # fmt: skip
    wait_for(lambda: running_on(app, "first"))
    out = app.run(*SPACE, "hydra.sweeper.study=fresh", "hydra.sweeper.lease_seconds=3", code=1)
    assert "waiting up to 30 s for a sign of life of study s, which first was running" in out
    assert "study=fresh: study s is running, in process" in out
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0, out
    assert app.states() == ["COMPLETE"] * 4


def test_a_point_that_fails_is_run_once_whatever_the_clocks_say(app, on_host) -> None:
    grid = ("x=1,2,3", "breaks_above=2", "hydra/launcher=basic", "hydra.sweeper.timeout=20")
    ahead = on_host("ahead", app.command(*grid), 3600)
    out, _ = ahead.communicate(timeout=120)
    assert ahead.returncode == 1, out
    assert "1 of 3 points failed and is missing: x=3" in out
    assert app.states() == ["COMPLETE", "COMPLETE", "FAIL"]
    joined = on_host("behind", joining(app), -3600)
    out, _ = joined.communicate(timeout=120)
    assert joined.returncode == 1, out
    assert "1 of 3 points failed and is missing: x=3" in out
    assert app.states() == ["COMPLETE", "COMPLETE", "FAIL"]
    app.run(*grid, code=1)
    assert app.states() == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]


def test_the_trial_of_a_host_that_died_is_taken_up(app, on_host, wait_for) -> None:
    first = on_host("first", app.command(*SPACE, "hydra.sweeper.n_trials=8",
                                         "hydra.sweeper.lease_seconds=4"))  # fmt: skip
    wait_for(lambda: running_on(app, "first"))
    second = on_host("second", joining(app), 3600)
    wait_for(lambda: running_on(app, "second"))
    second.send_signal(signal.SIGKILL)  # its namespace dies with it
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0, out
    second.communicate(timeout=10)
    assert app.states() == ["COMPLETE"] * 8
    assert sum(lease(t).cuts for t in app.trials()) == 1
    assert all(len(t.intermediate_values) == 8 for t in app.trials())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["multirun/none"], "multirun/none: there is no such folder; type the folder of a study"),
        ([], "no study is named; type python -m sweeper.worker STUDY_FOLDER"),
        (["x=" + "1," * 200], "1,1,: names no study; type python -m sweeper.worker STUDY_FOLDER"),
        (["study=s"], "study=s: names no study; type python -m sweeper.worker multirun/s"),
        (["a", "b", "c"], "a b c: names several studies; type python -m sweeper.worker STUDY"),
        (["sqlite:///none.db", "s"], "none.db; put it back, or type another"),
        (["."], "this is not the folder of a study"),
    ],
)
def test_a_worker_without_a_study_says_what_to_type(tmp_path, python, arguments, message) -> None:
    command = [python, "-m", "sweeper.worker", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_worker_joins_a_study_in_a_database_by_its_name(app, tmp_path) -> None:
    database = f"sqlite:///{tmp_path}/s.db"
    space = ("x=interval(-3,3)", "hydra/sweeper/pruner=none", "hydra.sweeper.n_jobs=1",
             f"hydra.sweeper.storage={database}")  # fmt: skip
    app.run(*space, "hydra.sweeper.n_trials=1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [app.python, "-m", "sweeper.worker", database, "s", "hydra.sweeper.n_trials=3"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 trials done" in done.stdout
    assert not list(Path(elsewhere).iterdir())
    joining = command[:-1]  # the number above held for that worker alone
    done = subprocess.run(joining, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Study s: 3 trials done"), done.stdout + done.stderr
    app.run(*space, "hydra.sweeper.n_trials=4")
    done = subprocess.run(joining, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Study s: 4 of 4 trials done"), done.stdout + done.stderr
