"""Studies, the plugin's tests and a run under Hydra 1.4, beside Hydra 1.3 of this environment."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
APP = TESTS / "plugin" / "sphere" / "app.py"
STUDY = ("--multirun", "hydra/sweeper=sweeper", "hydra.sweeper.n_jobs=2", "x=choice(0,1,2)")
QUICK = ("trainer.epochs=1", "trainer.train_limit=100", "trainer.val_limit=50", "tracking=none")
# What a signal, a time limit, a sampler or a pruner does to a study does not depend on Hydra. The
# nodes of samplers and pruners are tested with the units.
TESTS_OF_HYDRA = "not (ctrl_c or kill or timeout or finite_number or every_sampler or every_pruner)"
UNIT_TESTS = ["space", "sweep/settings", "contract/test_sampler_nodes.py", "test_concealment.py"]


def run(path: str, cwd: Path, *command: str, program: str = sys.executable) -> str:
    """Run Python with packages in `path`; return what it printed."""
    environment = os.environ | {
        "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled",
    }  # fmt: skip
    done = subprocess.run(
        [program, *command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.3", "1.4"])
@pytest.mark.parametrize("launcher", ["basic", "local", "joblib", "submitit_local", "ray"])
def test_a_study_runs_under_every_launcher(
    hydra_1_4, python, tmp_path, monkeypatch, launcher, version
) -> None:
    more = ["+hydra.launcher.ray.init.include_dashboard=false"] if launcher == "ray" else []
    # Not below tmp_path, whose name is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="sweeper-ray-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        words = (str(APP), *STUDY, f"hydra/launcher={launcher}", *more)
        if version == "1.4":
            out = run(hydra_1_4, tmp_path, *words)
        else:
            out = run("", tmp_path, *words, program=python)
    assert "3 of 3 trials done, 0 of them pruned, 0 failed" in out


def test_the_version_is_the_one_that_is_meant(hydra_1_4, tmp_path) -> None:
    assert run(hydra_1_4, tmp_path, "-c", "import hydra; print(hydra.__version__)") > "1.4"


@pytest.mark.parametrize(
    "tests", [["plugin/test_sweeper.py"], UNIT_TESTS], ids=["studies", "units"]
)
def test_the_plugins_tests_pass(hydra_1_4, tests) -> None:
    options = ("-q", "-n", "2", "--dist=worksteal", "-p", "no:cacheprovider", "-k",
               TESTS_OF_HYDRA)  # fmt: skip
    run(hydra_1_4, TESTS.parent, "-m", "pytest", *options, *(str(TESTS / t) for t in tests))


def test_a_run_and_a_study_of_this_program_warn_of_nothing(hydra_1_4, tmp_path) -> None:
    out = run(hydra_1_4, tmp_path, "-m", "sweeper", *QUICK)
    assert "test accuracy" in out
    out += run(hydra_1_4, tmp_path, "-m", "sweeper", "--multirun", "optimizer=sgd,adam", *QUICK)
    assert "2 of 2 trials done" in out
    assert "Warning" not in out
