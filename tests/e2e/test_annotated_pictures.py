"""The command line on annotated pictures."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

QUICK = ("trainer.epochs=2", "trainer.train_limit=200", "data.image_size=24", "tracking=none")


@pytest.fixture
def sweeper(python: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "sweeper", *arguments, "data=voc"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_a_run_says_how_well_sets_of_classes_are_found(sweeper, tmp_path, shapes) -> None:
    loss = "loss=multilabel_soft_margin"
    done = sweeper(f"data.root={shapes}", loss, *QUICK, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    words = done.stdout.split("test mean_average_precision")[1].split()
    assert 0.5 < float(words[0]) <= 1  # by chance 0.43
    assert words[1:3] == ["test", "f1"]
    assert (tmp_path / "run/figures/average_precision.png").is_file()


def test_a_study_seeks_the_best_mean_average_precision(sweeper, tmp_path, shapes) -> None:
    space = ["--multirun", "optimizer.lr=1e-9,0.002", "loss=bce_with_logits", "figures=false"]
    done = sweeper(*space, f"data.root={shapes}", *QUICK)
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("multirun/*/optimization_results.yaml")
    found = yaml.safe_load(results.read_text())
    assert float(found["best_params"]["optimizer.lr"]) == 0.002
    assert found["best_value"] > 0.5
