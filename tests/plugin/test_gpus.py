"""Workers that share GPUs, in real processes."""

import pytest

pytestmark = pytest.mark.slow


def test_auto_starts_several_workers_for_each_gpu(app, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    out = app.run("x=interval(0,1)", "hydra.sweeper.n_trials=9", "step_seconds=0.5",
                  "hydra.sweeper.check=false", "hydra.sweeper.trials_per_gpu=2")  # fmt: skip
    assert "Starting 4 workers" in out
