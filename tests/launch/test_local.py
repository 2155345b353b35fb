import os
import signal
import time
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus

from process_tree import runs
from sweeper.errors import TrainingError
from sweeper.launch import local

# Hydra's runner reads HydraConfig without a version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def sweep(hydra_sweep_runner, hydra_restore_singletons, tmp_path):
    """Return a function that runs `task` for each value of `a` and returns status and value."""

    def run(task, n=3, n_jobs=2):
        runner = hydra_sweep_runner(
            calling_file=None,
            calling_module="hydra.test_utils.a_module",
            task_function=task,
            config_path="configs",
            config_name="compose",
            overrides=[
                "hydra/launcher=local",
                f"hydra.launcher.n_jobs={n_jobs}",
                f"+a={','.join(map(str, range(n)))}",
            ],
            temp_dir=tmp_path / "sweep",
        )
        with runner:
            return [(r.status, r._return_value) for r in runner.returns[0]]

    return run


def test_a_process_runs_several_jobs(sweep) -> None:
    pids = {value for _, value in sweep(lambda _: os.getpid(), n=3, n_jobs=1)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_a_process_without_a_further_job_ends_while_others_work(sweep, tmp_path) -> None:
    def task(cfg):
        own, other = tmp_path / str(cfg.a), tmp_path / str(1 - cfg.a)
        own.write_text(str(os.getpid()))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if other.exists() and (cfg.a == 0 or not runs(int(other.read_text()))):
                return True
            time.sleep(0.05)
        return False

    assert [value for _, value in sweep(task, n=2, n_jobs=2)] == [True, True]


def test_each_process_has_its_share_of_threads(sweep, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("sweeper.launch.resources.n_cores", lambda: 6)
    [(_, threads)] = sweep(lambda _: os.environ["OMP_NUM_THREADS"], n=1, n_jobs=2)
    assert threads == "6"


def test_the_error_of_a_job_is_raised_in_the_parent(sweep) -> None:
    def task(cfg):
        raise ValueError(f"a is {cfg.a}")

    with pytest.raises(ValueError, match="a is 0"):
        sweep(task)


def test_a_result_that_cannot_be_read_fails_its_job_alone(sweep) -> None:
    class OwnError(Exception):
        def __init__(self, code, text):
            super().__init__(text)

    def task(cfg):
        raise OwnError(3, "no")

    with pytest.raises(TrainingError, match="the result of the job cannot be read: TypeError"):
        sweep(task)


def test_a_job_whose_process_dies_fails_and_the_others_run(sweep, monkeypatch) -> None:
    results = {}
    real = local.LocalPool._serve

    def serve(self, queue):
        results.update(real(self, queue))
        return results

    monkeypatch.setattr(local.LocalPool, "_serve", serve)

    def task(cfg):
        if cfg.a == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return cfg.a

    with pytest.raises(ChildProcessError, match="killed by SIGKILL"):
        sweep(task, n=4)
    values = [results[i]._return_value for i in (0, 2, 3)]
    assert values == [0, 2, 3]
    assert results[1].status == JobStatus.FAILED


@pytest.mark.parametrize("group", ["its parent's", "its own"])
def test_a_child_that_holds_its_dead_parents_connection_keeps_nobody_waiting(
    sweep, tmp_path, wait_for, group
) -> None:
    file, waited = tmp_path / "child", tmp_path / "waited"

    def task(cfg):
        if os.fork() == 0:
            if group == "its own":
                os.setsid()
            file.with_suffix(".new").write_text(str(os.getpid()))
            file.with_suffix(".new").replace(file)
            time.sleep(60)
            waited.touch()
            os._exit(0)
        while not file.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ChildProcessError, match="killed by SIGKILL"):
        sweep(task, n=1)
    assert not waited.exists()
    child = int(file.read_text())
    if group == "its own":
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: not runs(child))


def test_a_process_that_cannot_start_is_not_restarted_for_ever(sweep, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(TrainingError, match="ended with exit code 1 before they could import"):
        sweep(lambda _: 0)


def test_output_goes_to_the_jobs_folder(sweep) -> None:
    def task(_):
        os.system("echo from a child process")
        print("from python")
        return Path("/proc/self/fd/1").resolve().read_text()

    [(_, text)] = sweep(task, n=1)
    assert {"from a child process", "from python"} <= set(text.splitlines())
