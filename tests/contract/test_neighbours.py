"""The official Optuna sweeper, installed beside ours: both register `hydra/sweeper/sampler`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "plugin" / "sphere" / "app.py"
DONE = {"optuna": "Best value: ", "sweeper": "3 of 3 trials done, 0 of them pruned, 0 failed"}


def study(path: str, cwd: Path, *overrides: str, code: int = 0) -> str:
    command = [sys.executable, str(APP), "--multirun", "hydra/launcher=basic", *overrides]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    out = done.stdout + done.stderr
    assert done.returncode == code, out
    return out


@pytest.mark.parametrize(
    ("sweeper", "sampler"),
    [
        ("sweeper", "tpe"),
        ("sweeper", "grid"),
        ("sweeper", "nsgaii"),
        ("optuna", "tpe"),
        ("optuna", "grid"),
    ],
)
def test_each_sweeper_works_with_the_other_installed(
    with_optuna_sweeper, tmp_path, sweeper, sampler
) -> None:
    out = study(with_optuna_sweeper, tmp_path, f"hydra/sweeper={sweeper}", "x=choice(0,1,2)",
                f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=3")  # fmt: skip
    assert DONE[sweeper] in out, out
    assert "provider='sweeper_plugin'. Use" not in out


def test_a_sampler_that_only_the_other_sweeper_names_says_why_it_fails(
    with_optuna_sweeper, tmp_path
) -> None:
    out = study(with_optuna_sweeper, tmp_path, "hydra/sweeper=sweeper", "x=choice(0,1,2)",
                "hydra/sweeper/sampler=motpe", code=1)  # fmt: skip
    assert "hydra.sweeper.sampler: cannot be created: The 'motpe' sampler was removed" in out
    assert "Traceback" not in out
