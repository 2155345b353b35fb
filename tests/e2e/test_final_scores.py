"""A real study of the digits: of its trials, the winner alone has scores on the test split."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from omegaconf import OmegaConf

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TINY = ["trainer.epochs=2", "trainer.train_limit=200", "trainer.val_limit=60",
        "model.channels=[4,8]", "hydra.sweeper.study_name=s", "hydra.sweeper.check=false",
        "hydra.sweeper.n_jobs=1"]  # fmt: skip


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scores_of_runs(folder: Path) -> dict[str, dict[str, float]]:
    """Return the scores on the test split of each tracked run, by its name."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    scores = ({k: v for k, v in r.data.metrics.items() if k.startswith("test/")} for r in runs)
    return dict(zip((r.info.run_name for r in runs), scores, strict=True))


def test_the_winner_alone_is_scored_as_its_checkpoint_evaluates(tmp_path) -> None:
    out = run(tmp_path, "sweeper", "--multirun", "optimizer.lr=0.0001,0.01", *TINY)
    results = OmegaConf.load(tmp_path / "multirun/s/optimization_results.yaml")
    scores = dict(results.scores)
    assert results.best_params["optimizer.lr"] == 0.01
    assert f"Scored once, at the end: test/loss {scores['test/loss']:.4f}" in out
    assert scores_of_runs(tmp_path) == {"s": scores, "trial 0": {}, "trial 1": scores}
    best = "checkpoint=multirun/s/best/checkpoints/best.pt"
    evaluated = json.loads(run(tmp_path, "sweeper.evaluate", best, "--json"))
    assert evaluated["accuracy"] == scores["test/accuracy"]
