"""Studies whose workers are jobs of a real Slurm: a controller and a node on this machine."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

import servers
from journals import trials_in

APP = Path(__file__).parents[1] / "plugin" / "sphere" / "app.py"
SECONDS = 120
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])  # where Debian keeps the daemons
# A requeued job waits `cred_expire` seconds. Without a record of finished jobs (`sacct`), the
# launcher knows of the end of a job by its result.
CONFIG = """
ClusterName=sweeper
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=4
PartitionName=main Nodes={host} Default=YES State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A Slurm of one node with four processors, and the environment that leads to it."""

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        return subprocess.check_output(command, env=self.environment, text=True).strip()

    def jobs(self) -> str:
        return self.ask("squeue", "--noheader")


@pytest.fixture(scope="module")
def slurm(required) -> Iterator[Slurm]:
    """Start the daemons in a folder of their own, with a key of their own."""
    for program in ("munged", "slurmctld", "slurmd", "srun"):
        required(shutil.which(program, path=PATH), program)
    host = socket.gethostname().partition(".")[0]
    # Not below tmp_path, whose name is too long for a socket.
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sweeper-slurm-"))
        for name in ("state", "spool"):
            Path(folder, name).mkdir()
        key = Path(folder, "munge.key")
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        config = Path(folder, "slurm.conf")
        ports = {name: servers.free_port() for name in ("controller_port", "node_port")}
        text = CONFIG.format(folder=folder, host=host, user=getpass.getuser(), **ports)
        config.write_text(text)
        slurm = Slurm({**os.environ, "SLURM_CONF": str(config), "PATH": PATH})
        munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "seed", "pid", "log")]
        munge += [f"--socket={folder}/munge.socket", "--num-threads=1", "--force", "--foreground"]
        for command in (["munged", *munge], ["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            stack.enter_context(daemon(command, slurm.environment, Path(folder)))
        wait_until(lambda: slurm.ask("sinfo", "--noheader", "--format=%t") == "idle")
        stack.callback(wait_until, lambda: not slurm.jobs())
        stack.callback(slurm.ask, "scancel", "--user", getpass.getuser())
        yield slurm


@contextmanager
def daemon(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    if command[0] == "munged":
        wait_until((folder / "munge.socket").exists)
    yield
    process.terminate()
    process.wait(timeout=SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not _holds(condition):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.2)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except subprocess.CalledProcessError:
        return False  # the controller does not answer yet


class Study:
    """A study named `s` of the sphere application, with two workers."""

    def __init__(self, slurm: Slurm, cwd: Path, *overrides: str) -> None:
        self.slurm, self.cwd, self.folder = slurm, cwd, cwd / "multirun" / "s"
        self.overrides = [
            "hydra/sweeper=sweeper", "hydra.sweeper.study_name=s", "hydra.sweeper.n_jobs=2",
            "hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none", "x=interval(-3,3)",
            "hydra/launcher=submitit_slurm", *overrides,
        ]  # fmt: skip

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(APP), "--multirun", *self.overrides], cwd=self.cwd,
            env=self.slurm.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return trials_in(self.folder / "journal.log")

    def assert_exact(self, n_trials: int, n_steps: int) -> None:
        """Every trial is complete, step by step, and no worker died."""
        trials = self.trials()
        assert [t.state.name for t in trials] == ["COMPLETE"] * n_trials
        assert [sorted(t.intermediate_values) for t in trials] == [[*range(n_steps)]] * n_trials
        assert {lease["deaths"] for lease in self.leases()} == {0}

    def leases(self) -> list[dict[str, int]]:
        return [t.system_attrs["sweeper:lease"] for t in self.trials()]

    def log(self) -> str:
        return "".join(p.read_text() for p in self.folder.glob(".submitit/*/*_log.*"))


def test_workers_that_reach_their_time_limit_save_their_trials_and_are_requeued(
    slurm: Slurm, tmp_path: Path
) -> None:
    study = Study(
        slurm, tmp_path, "hydra.sweeper.n_trials=4", "steps=30", "step_seconds=1",
        "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=10",
        "hydra.launcher.max_num_timeout=10",
    )  # fmt: skip
    process = study.start()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    study.assert_exact(4, 30)
    assert sum(lease["cuts"] for lease in study.leases()) >= 2, study.log()
    assert "Requeued job" in study.log()


def test_after_ctrl_c_no_job_is_left_and_the_same_command_completes_the_study(
    slurm: Slurm, tmp_path: Path
) -> None:
    study = Study(slurm, tmp_path, "hydra.sweeper.n_trials=3", "steps=8", "step_seconds=1")
    process = study.start()
    wait_until(lambda: len(list(study.folder.glob("*/steps.log"))) == 2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, out
    wait_until(lambda: not slurm.jobs())
    assert {t.state.name for t in study.trials()} == {"WAITING"}
    process = study.start()
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out
    study.assert_exact(3, 8)


def test_ctrl_c_does_not_wait_for_a_job_that_waits_in_the_queue(
    slurm: Slurm, tmp_path: Path
) -> None:
    wants_too_much = "hydra.launcher.cpus_per_task=64"
    study = Study(slurm, tmp_path, "hydra.sweeper.n_trials=3", wants_too_much)
    process = study.start()
    try:
        wait_until(lambda: "PD" in slurm.jobs())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        slurm.ask("scancel", "--user", getpass.getuser())
    assert process.returncode == 130, out
    assert "0 of 3 trials done" in out


def test_the_command_replaces_workers_that_may_not_be_requeued(
    slurm: Slurm, tmp_path: Path
) -> None:
    study = Study(
        slurm, tmp_path, "hydra.sweeper.n_trials=2", "steps=60", "step_seconds=1",
        "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=10",
        "hydra.launcher.max_num_timeout=0",
    )  # fmt: skip
    process = study.start()
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    study.assert_exact(2, 60)
    assert "timed-out too many times" in study.log()
