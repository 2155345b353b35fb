"""A study on a real Ray cluster of two nodes, one of which dies."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from journals import trials_in

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

APP = Path(__file__).parents[1] / "plugin" / "sphere" / "app.py"
N_TRIALS, N_STEPS = 6, 8


@pytest.fixture
def cluster(required, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Cluster]":
    """Start a head, which runs no task, and two nodes with one processor each."""
    required(find_spec("ray"), "ray")
    # Not below tmp_path, whose name is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="sweeper-ray-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes into the home folder
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            add_node(cluster, num_cpus=0, include_dashboard=False)
            add_node(cluster, num_cpus=1)
            add_node(cluster, num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: "Cluster", **arguments: object) -> None:
    """Add a node, the first of which is the head.

    Ray gives it 30 s to start, and a busy machine may need more.
    """
    for attempt in range(3):
        try:
            cluster.add_node(**arguments)
            return
        except Exception:
            if attempt == 2:
                raise


def running(journal: Path) -> int:
    """Return the number of running trials."""
    return [t.state.name for t in trials_in(journal)].count("RUNNING")


def command(address: str) -> list[str]:
    return [
        sys.executable, str(APP), "--multirun", "hydra/sweeper=sweeper", "hydra/launcher=ray",
        f"hydra.launcher.ray.init.address={address}",
        "+hydra.launcher.ray.init.object_store_memory=null",
        "hydra.sweeper.study_name=s", f"hydra.sweeper.n_trials={N_TRIALS}",
        "hydra.sweeper.n_jobs=2", "hydra/sweeper/sampler=random", "hydra/sweeper/pruner=none",
        "x=interval(-3,3)", f"steps={N_STEPS}", "step_seconds=0.5",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
def test_the_trials_of_a_node_that_dies_are_taken_up_by_the_other_node(
    cluster: "Cluster", tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    journal = tmp_path / "multirun" / "s" / "journal.log"
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(command(cluster.address), cwd=tmp_path, stdout=out, stderr=out)
    wait_for(lambda: running(journal) == 2 or process.poll() is not None, seconds=180)
    assert process.poll() is None, (tmp_path / "out").read_text()
    cluster.remove_node(min(cluster.worker_nodes, key=str), allow_graceful=False)
    assert process.wait(timeout=300) == 0, (tmp_path / "out").read_text()

    trials = trials_in(journal)
    assert [t.state.name for t in trials] == ["COMPLETE"] * N_TRIALS
    assert [sorted(t.intermediate_values) for t in trials] == [[*range(N_STEPS)]] * N_TRIALS
    assert sum(t.system_attrs["sweeper:lease"]["deaths"] for t in trials) == 1
