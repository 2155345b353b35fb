"""A tracking server that is away or dies: nothing of a run or a study is lost."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import servers

pytestmark = pytest.mark.filterwarnings("ignore")
SECONDS = 240
QUICK = ["trainer.train_limit=200", "trainer.val_limit=60", "figures=false"]
STUDY = ["--multirun", "search=cnn", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1",
         "hydra.sweeper.sampler.seed=1", "hydra/sweeper/pruner=none",
         "trainer.epochs=2"]  # fmt: skip


class Server:
    """A real server with its database in `folder`; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, servers.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._running: ExitStack | None = None

    def start(self) -> None:
        """Start the server if it is not up."""
        if self._running is None:
            self._running = ExitStack()
            arguments = ("server", "--workers", "1")
            self._running.enter_context(
                servers.mlflow(self._folder, *arguments, port=self._port, ends_by=signal.SIGKILL)
            )

    def kill(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def runs(self, experiment: str) -> list[Any]:
        """Return the runs of an experiment."""
        from mlflow import MlflowClient

        client = MlflowClient(self.url)
        found = client.get_experiment_by_name(experiment)
        return list(client.search_runs([found.experiment_id])) if found else []

    def steps(self, run: Any, metric: str) -> list[int]:
        from mlflow import MlflowClient

        history = MlflowClient(self.url).get_metric_history(run.info.run_id, metric)
        return [point.step for point in history]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has made its database and is away."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    server.kill()
    yield server
    server.kill()


@pytest.fixture
def run(server: Server, tmp_path: Path, python: str) -> Callable[..., "subprocess.Popen[str]"]:
    """Return a function that starts a Python module as a user would."""

    def start(module: str, *arguments: str) -> "subprocess.Popen[str]":
        # HYDRA_FULL_ERROR: a test before this one, in this process, may have set it.
        environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}
        environment["MLFLOW_TRACKING_URI"] = server.url
        return subprocess.Popen(
            [python, "-m", module, *arguments], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start


def output(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out
    assert "Traceback" not in out
    return out


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def assert_whole(server: Server, study: str) -> None:
    """The study is one finished run, and below it are its trials, one finished run each."""
    runs = {run.info.run_name: run for run in server.runs(study)}
    assert sorted(run.info.run_name for run in server.runs(study)) == sorted(
        [study, "trial 0", "trial 1", "trial 2"]
    )
    parent = runs.pop(study)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["trials/complete"] == 3
    assert "best/trial" in parent.data.tags
    for child in runs.values():
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED"
        assert server.steps(child, "val/loss") == [1, 2]


def test_a_study_without_its_server_is_whole_after_delivery(server, run, tmp_path) -> None:
    server.kill()
    study = [*STUDY, *QUICK, "hydra.sweeper.study_name=away", "tracking.experiment=away"]
    out = output(run("sweeper", *study))
    (line,) = [text for text in out.splitlines() if "sweeper.tracking.deliver" in text]
    assert "not all records reached" in line
    assert len(out.splitlines()) < 25
    server.start()
    output(run("sweeper.tracking.deliver"))
    assert not (tmp_path / "outbox").exists()
    assert_whole(server, "away")
    output(run("sweeper", *study))
    assert_whole(server, "away")


def test_a_study_whose_server_dies_goes_on_and_the_same_command_completes_its_record(
    server, run, tmp_path
) -> None:
    server.start()
    study = [*STUDY, *QUICK, "hydra.sweeper.study_name=dies", "tracking.experiment=dies"]
    process = run("sweeper", *study)
    wait_until(lambda: len(server.runs("dies")) > 1, process)
    server.kill()
    assert "python -m sweeper.tracking.deliver" in output(process)
    server.start()
    output(run("sweeper", *study))
    assert_whole(server, "dies")
    assert not (tmp_path / "outbox").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_run_that_ended_before_its_server_knew_it_is_resumed_as_one_run(
    server, run, tmp_path, how: signal.Signals
) -> None:
    server.kill()
    last = tmp_path / "first/checkpoints/last.pt"
    overrides = [*QUICK, "trainer.epochs=40", f"tracking.experiment={how.name}"]
    process = run("sweeper", *overrides, "hydra.run.dir=first")
    wait_until(last.exists, process)
    process.send_signal(how)
    out, _ = process.communicate(timeout=SECONDS)
    assert not re.search("Traceback", out), out
    server.start()
    output(run("sweeper", *overrides, f"resume={last}"))
    output(run("sweeper.tracking.deliver"))
    assert not (tmp_path / "outbox").exists()
    (found,) = server.runs(how.name)
    assert found.info.status == "FINISHED"
    # A run that is killed between the record of an epoch and its checkpoint records it twice.
    assert sorted(set(server.steps(found, "val/loss"))) == list(range(1, 41))
