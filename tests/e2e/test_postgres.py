"""A study that four workers share through a real PostgreSQL server."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

import servers
from process_tree import workers_of
from servers import Postgres

APP = Path(__file__).parents[1] / "plugin" / "sphere" / "app.py"
N_TRIALS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with servers.postgres() as server:
        yield server


@pytest.fixture
def database(server: Postgres) -> str:
    return f"postgresql+psycopg2://postgres@127.0.0.1:{server.port}/postgres"


class Study:
    """The study `name` of the sphere application, with four workers."""

    def __init__(self, name: str, database: str, cwd: Path, python: str) -> None:
        self.name, self.database, self.cwd, self.python = name, database, cwd, python
        self.folder = cwd / "multirun" / name

    def start(self, python: str = sys.executable) -> "subprocess.Popen[str]":
        overrides = ["hydra/sweeper=sweeper", "hydra/launcher=local", "x=interval(-3,3)",
                     "steps=4", "step_seconds=0.1", "hydra/sweeper/sampler=random",
                     "hydra/sweeper/pruner=none", "hydra.sweeper.n_jobs=4",
                     f"hydra.sweeper.n_trials={N_TRIALS}", f"hydra.sweeper.study_name={self.name}",
                     f"hydra.sweeper.storage={self.database}"]  # fmt: skip
        return subprocess.Popen(
            [python, str(APP), "--multirun", *overrides], cwd=self.cwd,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self) -> None:
        process = self.start(self.python)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out

    def trials(self) -> list[FrozenTrial]:
        return optuna.load_study(study_name=self.name, storage=self.database).trials

    def cuts(self) -> int:
        """Return the number of attempts at trials that did not finish them."""
        return sum(t.system_attrs["sweeper:lease"]["cuts"] for t in self.trials())

    def assert_exact(self) -> None:
        """The budget is complete, step by step, and only a dead worker's trial ran again."""
        trials = self.trials()
        assert [(t.number, t.state.name) for t in trials] == [
            (number, "COMPLETE") for number in range(N_TRIALS)
        ]
        assert len({t.params["x"] for t in trials}) == N_TRIALS
        assert all(sorted(t.intermediate_values) == [0, 1, 2, 3] for t in trials)
        logs = [self.folder / str(t.number) / "stdout.log" for t in trials]
        runs = [sum(x.startswith("value") for x in log.read_text().splitlines()) for log in logs]
        deaths = [t.system_attrs["sweeper:lease"]["deaths"] for t in trials]
        too_often = [
            (t.number, n, dead)
            for t, n, dead in zip(trials, runs, deaths, strict=True)
            if not 1 <= n <= 1 + dead
        ]
        assert not too_often


@pytest.fixture
def study(request, database: str, tmp_path: Path, python: str) -> Study:
    return Study(request.node.originalname, database, tmp_path, python)


def wait_for_a_trial(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert any("] trial" in line for line in process.stdout)


def worker_in_a_trial(study: Study, process: "subprocess.Popen[str]") -> int:
    """Stop a worker in the middle of a trial; return its process id."""
    deadline = time.monotonic() + 60
    for pid in itertools.cycle(workers_of(process.pid)):
        assert time.monotonic() < deadline, "no worker was found in the middle of a trial"
        os.kill(pid, signal.SIGSTOP)
        running = [t for t in study.trials() if t.state == TrialState.RUNNING]
        if any(pid == t.system_attrs.get("sweeper:lease", {}).get("pid") for t in running):
            return pid
        os.kill(pid, signal.SIGCONT)
    raise AssertionError("the study has no worker")


def test_four_workers_one_of_them_killed_end_with_exactly_the_budget(study: Study) -> None:
    process = study.start()
    wait_for_a_trial(process)
    os.kill(worker_in_a_trial(study, process), signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    study.assert_exact()
    assert study.cuts() == 1
    study.run()
    study.assert_exact()


def test_after_a_kill_of_all_the_same_command_completes_the_study(study: Study) -> None:
    process = study.start()
    wait_for_a_trial(process)
    worker_in_a_trial(study, process)
    for pid in [process.pid, *workers_of(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    study.run()
    study.assert_exact()
    assert study.cuts() > 0


def test_workers_wait_for_a_server_that_is_away_and_go_on(study: Study, server: Postgres) -> None:
    process = study.start()
    wait_for_a_trial(process)
    server.stop()
    time.sleep(12)
    server.start()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    study.assert_exact()
    logs = [out, *(path.read_text() for path in study.folder.rglob("*.log"))]
    assert not any("Traceback" in log for log in logs)
    assert "The study's database is away (" in out
    assert "The study's database is back" in out
    assert study.cuts() == 0


def test_a_worker_that_starts_while_the_server_is_away_waits_for_it(
    study: Study, server: Postgres
) -> None:
    process = study.start()
    wait_for_a_trial(process)
    pid = worker_in_a_trial(study, process)
    server.stop()
    os.kill(pid, signal.SIGKILL)
    time.sleep(6)
    server.start()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    study.assert_exact()
    assert "ended early" not in out
    assert study.cuts() == 1


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "postgresql+psycopg2://u@nowhere.invalid/none",
    ],
)
def test_a_server_that_does_not_answer_at_the_start_is_named_in_one_line(study, address) -> None:
    study.database = address
    process = study.start(study.python)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out.startswith(f"hydra.sweeper.storage={address}: cannot be opened: ")
    assert "Traceback" not in out
