"""Fixtures that install other versions of Hydra and its plugins beside this environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.locks import locked

HYDRA_1_4 = ("hydra-core==1.4.0rc3", "omegaconf==2.4.1rc1")
LAUNCHERS_1_4 = tuple(f"hydra-{n}-launcher==1.4.0rc3" for n in ("joblib", "ray", "submitit"))
OPTUNA_SWEEPER = ("hydra-optuna-sweeper==1.4.0rc3",)
PLUGIN = Path(__file__).parents[2] / "sweeper" / "plugin"

Installed = Callable[..., str]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Installed:
    """Return a function that installs packages into a folder and returns the folder.

    Without a network the test is skipped, or fails in CI. All test processes share the folders.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def install(*packages: str) -> str:
        folder = shared / "-".join(package.partition("=")[0] for package in packages)
        with locked(folder.with_suffix(".lock")):
            if not folder.exists() and (problem := _install(folder, packages)):
                pytest.skip(f"{', '.join(packages)} cannot be installed: {problem}")
        return str(folder)

    return install


def _install(folder: Path, packages: tuple[str, ...]) -> str:
    """Install packages into a folder; return the end of the error, or nothing."""
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable,
               "--target", str(folder), *packages]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
        problem = done.stderr if done.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        shutil.rmtree(folder, ignore_errors=True)
    return problem.strip()[-300:]


@pytest.fixture(scope="session")
def hydra_1_4(installed: Installed) -> str:
    """Return the `PYTHONPATH` with which Python uses Hydra 1.4 and its launchers."""
    return os.pathsep.join([installed(*HYDRA_1_4), installed(*LAUNCHERS_1_4)])


@pytest.fixture(scope="session", params=["ours last", "theirs last"])
def with_optuna_sweeper(
    installed: Installed, hydra_1_4: str, request: pytest.FixtureRequest
) -> str:
    """Return the `PYTHONPATH` with the official Optuna sweeper, registered first or last."""
    theirs = installed(*OPTUNA_SWEEPER)
    # Hydra looks for plugins in the order of the path; this package comes after it otherwise.
    folders = [theirs] if request.param == "ours last" else [str(PLUGIN), theirs]
    return os.pathsep.join([hydra_1_4, *folders])
