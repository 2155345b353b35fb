"""Real studies of the digits: finalists, and a winner that alone has scores on the test split."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

from sweeper.launch.resources import n_cores
from sweeper.sweep.lease import Lease
from sweeper.sweep.storage import open_storage

pytestmark = pytest.mark.filterwarnings("ignore")
TINY = ["trainer.epochs=2", "trainer.train_limit=200", "trainer.val_limit=60",
        "model.channels=[4,8]", "hydra.sweeper.study_name=s", "hydra.sweeper.check=false",
        "hydra.sweeper.n_jobs=1"]  # fmt: skip


@pytest.fixture
def run(python: str, tmp_path: Path) -> Callable[..., str]:
    def run(*command: str, **variables: str) -> str:
        done = subprocess.run(
            [python, "-m", *command], cwd=tmp_path, env=os.environ | variables,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def scores_of_runs(folder: Path, *prefixes: str) -> dict[str, dict[str, float]]:
    """Return the scores whose keys have a prefix of each tracked run, by its name."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    scores = ({k: v for k, v in r.data.metrics.items() if k.startswith(prefixes)} for r in runs)
    return dict(zip((r.info.run_name for r in runs), scores, strict=True))


def test_the_winner_alone_is_scored_as_its_checkpoint_evaluates(run, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")  # two workers share the cores
    words = ["--multirun", "optimizer.lr=0.0001,0.01", *TINY, "hydra.sweeper.n_jobs=2"]
    out = run("sweeper", *words)
    results = OmegaConf.load(tmp_path / "multirun/s/optimization_results.yaml")
    scores = dict(results.scores)
    assert results.best_params["optimizer.lr"] == 0.01
    assert f"Scored once, at the end: test/loss {scores['test/loss']:.4f}" in out
    assert scores_of_runs(tmp_path, "test/") == {"s": scores, "trial 0": {}, "trial 1": scores}
    best = "checkpoint=multirun/s/best/checkpoints/best.pt"
    evaluated = json.loads(run("sweeper.evaluate", best, "--json"))
    assert evaluated["accuracy"] == scores["test/accuracy"]
    # The command that the study has printed trains the winner again, to the same numbers.
    [words] = [shlex.split(x) for x in out.splitlines() if x.startswith("Train it again: ")]
    before = scores_of_runs(tmp_path, "val/", "test/")
    assert f"trainer.threads={max(1, n_cores() // 2)}" in words
    run(*words[words.index("-m") + 1 :], OMP_NUM_THREADS="3")
    after = scores_of_runs(tmp_path, "val/", "test/")
    [again] = after.keys() - before.keys()
    assert "val/accuracy" in after[again]
    assert after[again] == before["trial 1"]


def test_a_finalists_run_that_was_killed_ends_as_an_uninterrupted_one(run, tmp_path) -> None:
    command = ("optimizer.lr=0.0001,0.01", *TINY, "hydra.sweeper.finalists=2",
               "hydra.sweeper.finalist_seeds=2", "trainer.epochs=40")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeper", "--multirun", *command],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    run_folder, deadline = tmp_path / "multirun/s/finals/0-seed-1", time.monotonic() + 400
    while not (run_folder / "checkpoints/last.pt").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    journal = open_storage(str(tmp_path / "multirun/s/finals.log"), tmp_path)
    leases = [Lease.read(t.system_attrs) for t in journal.get_all_trials(0)]
    os.kill(next(lease.pid for lease in leases if lease), signal.SIGKILL)
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    assert "was killed by SIGKILL" in out
    results = OmegaConf.load(tmp_path / "multirun/s/optimization_results.yaml")
    killed = next(each for each in results.finalists if each.trial == 0)
    alone = run("sweeper", "trainer.train_limit=200", "trainer.val_limit=60",
                "model.channels=[4,8]", "trainer.epochs=40", "optimizer.lr=0.0001",
                "seed=1", "tracking=none")  # fmt: skip
    assert f"val accuracy  {killed['values'][1]:.4f}" in alone
    scored = {name for name, scores in scores_of_runs(tmp_path, "test/").items() if scores}
    assert scored == {"s", "trial 1"}
    runs = {f"trial {trial} seed {seed}" for trial in (0, 1) for seed in (1, 2)}
    assert runs < scores_of_runs(tmp_path, "test/").keys()
