"""The pictures of the README: a running study in the terminal, and its trials in MLflow.

    python docs/pictures.py [--trials 20] [--workers 4] [--folder FOLDER]

Runs a real study in a temporary folder, or in FOLDER, and writes into docs/pictures/:

board.svg    the picture that the terminal shows while the study runs, made by the same code from
             the trials that the study has at that moment
compare.png  MLflow's page that compares the trials, as Chromium shows it

It needs Chromium, and Playwright from the packages for development.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import optuna
import urllib3
from optuna.trial import FrozenTrial, TrialState
from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright
from rich.console import Console
from urllib3.util import Retry

from sweeper.sweep.board_view import Frame, picture
from sweeper.sweep.budget import is_own, was_not_needed
from sweeper.sweep.counts import Counts
from sweeper.sweep.curve import curve_of
from sweeper.sweep.storage import open_storage, read_trials

PICTURES = Path(__file__).parent / "pictures"
EXPERIMENT, STUDY = "digits", "small_cnn"
LINE = "python -m sweeper --multirun search=cnn"
ADDED = "optimizer.lr"
"""The parameter that the page shows beside those that it opens with."""
COLUMNS = 104
COLOURS = 128
SECONDS = 120
# rich's own template loads fonts from a server; a reader's monospace font does as well.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def trials_of(folder: Path) -> list[FrozenTrial]:
    """Return the trials that a study in its folder has by now; none before it has begun."""
    if not (folder / "journal.log").is_file():
        return []
    storage = open_storage(None, folder)
    names = [study.study_name for study in storage.get_all_studies()]
    if STUDY not in names:
        return []
    trials = read_trials(storage, storage.get_study_id_from_name(STUDY))
    return [t for t in trials if is_own(t) and not was_not_needed(t)]


def watch(study: "subprocess.Popen[bytes]", folder: Path, arguments: argparse.Namespace) -> str:
    """Wait for the end of the study; return its picture in the second half of the search.

    Of several moments it is the one with the most curves, and the latest of these.
    """
    started, shown, most = time.monotonic(), "", 0
    while study.poll() is None:
        time.sleep(0.2)
        trials = trials_of(folder)
        curves = sum(t.state == TrialState.RUNNING and bool(curve_of(t)) for t in trials)
        n_done, seconds = Counts.of(trials).done, time.monotonic() - started
        if arguments.trials / 2 <= n_done < 0.9 * arguments.trials and curves >= max(1, most):
            frame = Frame([True], arguments.trials, seconds, n_done, pauses=True)
            shown, most = "\n".join(picture(frame, trials, width=COLUMNS)), curves
    if study.returncode:
        sys.exit(f"the study ended with exit code {study.returncode}")
    return shown or sys.exit("no trial was seen in the second half; try again, or more --trials")


def save_board(text: str, path: Path) -> None:
    """Draw the text of a terminal."""
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(text, markup=False, highlight=False)
        svg = console.export_svg(title=LINE, code_format=TEMPLATE, unique_id="board")
    path.write_text(svg, encoding="utf-8")


def plot_of(page: Page) -> FloatRect:
    """Return the part of MLflow's page from its heading to the end of the plot."""
    heading = page.get_by_text("Comparing", exact=False).first.bounding_box()
    plot = page.locator(".main-svg").first.bounding_box()
    below = page.get_by_text("Run details", exact=True).bounding_box()
    assert heading is not None
    assert plot is not None
    assert below is not None
    left, top = heading["x"] - 16, heading["y"] - 4
    right, bottom = plot["x"] + plot["width"], below["y"] - 16
    return FloatRect(x=left, y=top, width=right - left, height=bottom - top)


def save_comparison(folder: Path, trials: list[FrozenTrial], path: Path) -> None:
    """Open MLflow's page that compares the trials, and keep what the browser shows."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        sys.exit(f"MLflow has no experiment {EXPERIMENT}")
    runs = mlflow.search_runs([experiment.experiment_id], output_format="list")
    names = {f"trial {t.number}" for t in trials}
    ids = [run.info.run_id for run in runs if run.info.run_name in names]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    asked = {"runs": ids, "experiments": [experiment.experiment_id]}
    query = "&".join(f"{name}={json.dumps(value)}" for name, value in asked.items())
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "ui", "--port", str(port)],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        urllib3.request(
            "GET",
            f"{address}/health",
            retries=Retry(2 * SECONDS, backoff_factor=0.1, backoff_max=1),
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(SECONDS * 1000)
            page.goto(f"{address}/#/compare-runs?{query}")
            page.locator(".axis-title").first.wait_for()
            parameters = page.get_by_role("combobox").first
            parameters.click()
            parameters.fill(ADDED)
            parameters.press("Enter")
            page.locator(".axis-title").filter(has_text=ADDED).wait_for()
            page.keyboard.press("Escape")
            page.wait_for_timeout(3000)  # the lines are drawn a moment after the axes
            page.screenshot(path=path, clip=plot_of(page))
            browser.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def draw(folder: Path, arguments: argparse.Namespace) -> None:
    """Run the study in a folder, and write the pictures."""
    settings = {"n_trials": arguments.trials, "n_jobs": arguments.workers, "study_name": STUDY}
    study = subprocess.Popen(
        [
            *(sys.executable, *LINE.split()[1:], "trainer.threads=1"),
            *(f"hydra.sweeper.{key}={value}" for key, value in settings.items()),
        ],
        cwd=folder,
    )
    place = folder / "multirun" / STUDY
    save_board(watch(study, place, arguments), PICTURES / "board.svg")
    save_comparison(folder, trials_of(place), PICTURES / "compare.png")
    for path in sorted(PICTURES.iterdir()):
        sys.stdout.write(f"{path}: {path.stat().st_size / 1024:.0f} KB\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="a new folder, in which the study is kept")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    PICTURES.mkdir(exist_ok=True)
    if arguments.folder is not None:
        arguments.folder.mkdir()
        draw(arguments.folder.absolute(), arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name), arguments)


if __name__ == "__main__":
    main()
