"""Fixtures of the end-to-end tests: programs of this machine, a browser, and a study."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import urllib3
from playwright.sync_api import BrowserContext, expect, sync_playwright
from urllib3.util import Retry

from sweeper.locks import locked

T = TypeVar("T")
SECONDS = 60
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update",
            "--disable-sync"]  # fmt: skip
# One worker and a seed, so that every test run looks at the same four trials.
STUDY = ["search=cnn", "hydra.sweeper.n_trials=4", "hydra.sweeper.study_name=small_cnn",
         "tracking=all", "trainer.epochs=2", "trainer.train_limit=200", "trainer.val_limit=60",
         "hydra.sweeper.n_jobs=1", "hydra.sweeper.sampler.seed=1",
         "hydra/sweeper/pruner=none"]  # fmt: skip


@pytest.fixture(scope="session")
def required() -> Callable[[T | None, str], T]:
    """Return a function that hands on what was found; else the test is skipped."""

    def require(found: T | None, name: str) -> T:
        if found is None:
            pytest.skip(f"{name} is not installed here, and this test drives the real one")
        return found

    return require


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@contextmanager
def _serving(port: int, folder: Path, *arguments: str, **variables: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    # MLflow changes its ways where it believes to be under test. It starts the program uvicorn,
    # which lies beside Python.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments, "--port", str(port)],
            cwd=folder,
            env=environment | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        patience = Retry(2 * SECONDS, backoff_factor=0.1, backoff_max=1)
        urllib3.request("GET", f"{url}/health", retries=patience)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="session")
def serving(
    free_port: Callable[[], int],
) -> Callable[..., AbstractContextManager[str]]:
    """Return a function that serves a folder with a command of MLflow; it yields the address."""
    return lambda folder, *arguments, **variables: _serving(
        free_port(), folder, *arguments, **variables
    )


@pytest.fixture(scope="session")
def browser(required) -> Iterator[BrowserContext]:
    """Open a browser with one cache, so that only the first page loads the scripts of a server."""
    chromium = required(shutil.which("chromium"), "chromium")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield browser.new_context(viewport={"width": 1600, "height": 1000})
        browser.close()


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str, python: str) -> Path:
    """Run a study named small_cnn as a user would; return the folder it was started in.

    The first test process that needs the study runs it, and the others wait for it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "study-of-the-pages"
    with locked(shared / "study-of-the-pages.lock"):
        if not folder.exists():
            folder.mkdir()
            command = [python, "-m", "sweeper", "--multirun", *STUDY]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    return folder
