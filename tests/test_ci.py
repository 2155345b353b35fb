"""The script of the continuous integration, with a stand-in for each program that it starts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/run"
STAND_IN = """#!/bin/sh
[ "$CI" = true ] || exit 1
case "$*" in *"$FAILING"*) exit 1 ;; esac
"""
SKIPPED = """
import pytest

def test_it():
    pytest.skip("there is no bash")
"""


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_test_that_is_skipped_fails_in_ci(tmp_path, ci, code) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPED)
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--numprocesses=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"CI": ci, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert ("skipped in CI: " in done.stdout) == (code == 1)


@pytest.mark.skipif(not shutil.which("bash"), reason="the script is one of bash")
@pytest.mark.parametrize("failing", ["pip", "pytest", "ruff check", "ruff format", "mypy", "none"])
def test_a_step_that_fails_ends_the_script(tmp_path, failing) -> None:
    for program in ("python", "apt-get"):
        (tmp_path / program).write_text(STAND_IN)
        (tmp_path / program).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    environment |= {"PATH": path, "FAILING": failing}
    done = subprocess.run(["bash", str(SCRIPT)], env=environment, check=False)
    assert (done.returncode == 0) == (failing == "none")
