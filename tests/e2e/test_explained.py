"""`python -m sweeper.explain` for a real study of the digits."""

import subprocess

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore")
STUDY = ["optimizer.lr=choice(0.0001,0.001,0.01)", "model.kernel_size=choice(3,5)",
         "hydra.sweeper.enqueue=[{optimizer.lr:0.01,model.kernel_size:3}]",
         "hydra.sweeper.n_trials=1", "hydra.sweeper.warm_start=false", "trainer.epochs=2",
         "trainer.train_limit=200", "trainer.val_limit=60", "model.channels=[4,8]",
         "hydra.sweeper.study_name=s", "hydra/launcher=basic", "run_name=mine"]  # fmt: skip


def test_each_change_has_its_gain_and_its_run(python, tmp_path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            [python, "-m", *command],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("sweeper", "--multirun", *STUDY)
    out = run("sweeper.explain", "multirun/s")
    for line in ("default config", "optimizer.lr (0.001 -> 0.01)", "model.kernel_size (5 -> 3)"):
        assert line in out
    assert "mattered most" in out
    assert (tmp_path / "multirun/s/explanation.png").stat().st_size > 10_000
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    names = sorted(each.info.run_name for each in runs)
    assert names == ["mine", "s-explain-0", "trial 0", "trial 0", "trial 1", "trial 2"]
