"""The script of the continuous integration, with a stand-in for each program that it starts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/run"
STAND_IN = """#!/bin/sh
[ "$CI" = true ] || exit 1
case "$*" in *"$FAILING"*) exit 1 ;; esac
"""


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
