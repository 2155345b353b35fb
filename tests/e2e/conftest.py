"""Fixtures of the end-to-end tests: programs of this machine, a browser, and a study."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import BrowserContext, expect, sync_playwright

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
