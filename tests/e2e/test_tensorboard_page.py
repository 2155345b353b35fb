"""The pages of a study in TensorBoard: a real study, the real server, a real browser."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from playwright.sync_api import BrowserContext, Page, expect

import servers

SECONDS = 60
TRIALS = {f"{number}/tensorboard" for number in range(4)}
RUNS = TRIALS | {"best/tensorboard"}


def wait_until_read(url: str) -> None:
    """Wait for what each trial wrote last: how it ended."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while time.monotonic() < deadline:
        tags = json.loads(urllib3.request("GET", f"{url}/data/plugin/text/tags").data)
        if all("status/text_summary" in tags.get(run, []) for run in RUNS):
            return
        pause.wait(0.2)
    pytest.fail(f"after {SECONDS} seconds TensorBoard knows no more than {tags}")


@pytest.fixture(scope="module")
def address(study_folder: Path) -> Iterator[str]:
    """Serve the study with `tensorboard`; yield the address once it has read the trials."""
    url = f"http://127.0.0.1:{(port := servers.free_port())}"
    tensorboard = [sys.executable, "-m", "tensorboard.main", "--port", str(port)]
    command = [*tensorboard, "--logdir", str(study_folder / "multirun/small_cnn")]
    with servers.server(command, f"{url}/data/runs", study_folder):
        wait_until_read(url)
        yield url


@pytest.fixture(scope="module")
def served(address: str) -> Callable[[str], Any]:
    """Return a function that asks the server for a page of data."""

    def ask(path: str) -> Any:
        return json.loads(urllib3.request("GET", f"{address}/data/{path}").data)

    return ask


@pytest.fixture
def page(browser: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.screenshot(path=tmp_path / "page.png")
    page.close()


def test_every_trial_is_a_run(served) -> None:
    assert set(served("runs")) == RUNS


@pytest.mark.parametrize(
    ("plugin", "tags"),
    [
        ("scalars", {"val/accuracy", "train/loss", "best/val_accuracy"}),
        ("images", {"watch/inputs", "watch/layers/features.0.0", "watch/layers/features.1.0"}),
        ("histograms", {"weights/features.0.0", "gradients/classifier.1"}),
    ],
)
def test_a_trial_shows_numbers_pictures_and_histograms(served, plugin, tags) -> None:
    shown = served(f"plugin/{plugin}/tags")
    assert {trial: tags - set(shown[trial]) for trial in TRIALS} == dict.fromkeys(TRIALS, set())


def test_only_the_winner_shows_its_score_on_the_test_split(served) -> None:
    shown = served("plugin/scalars/tags")
    assert sum("test/accuracy" in shown[trial] for trial in TRIALS) == 1


def test_curves_have_a_point_an_epoch(served) -> None:
    points = served("plugin/scalars/scalars?tag=val%2Faccuracy&run=0%2Ftensorboard")
    assert [step for _, step, _ in points] == [1, 2]


def test_the_graph_shows_the_layers(address: str) -> None:
    graph = urllib3.request("GET", f"{address}/data/plugin/graphs/graph?run=0%2Ftensorboard").data
    assert b"Conv2d[0]" in graph


def test_trials_can_be_compared_by_what_varies(page: Page, address: str) -> None:
    page.goto(f"{address}/#hparams")
    for text in ("optimizer.lr", "0/tensorboard", "best/val_accuracy"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()


def test_feature_maps_are_seen(page: Page, address: str) -> None:
    page.goto(f"{address}/#images&tagFilter=features.0.0")
    picture = page.locator("tf-image-loader img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 1000
