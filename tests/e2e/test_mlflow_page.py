"""The pages of a study in MLflow: a real study, the real server, a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from playwright.sync_api import BrowserContext, Locator, Page, expect

import servers
from sweeper.tracking.store import page_of

SECONDS = 60
STUDY = "small_cnn"
TRIALS = [f"trial {number}" for number in range(4)]
FIGURES = ["history", "parallel_coordinates", "slice", "study", "timeline"]


@pytest.fixture(scope="module")
def address(study_folder: Path) -> Iterator[str]:
    """Serve the folder with `mlflow ui`; yield the address."""
    with servers.mlflow(study_folder, "ui", "--workers", "1") as url:
        yield url


@pytest.fixture
def page(browser: BrowserContext, address: str, tmp_path: Path) -> Iterator[Page]:
    """Open the runs of the experiment in a fresh browser, as a newcomer does.

    What the browser showed last is kept in `tmp_path/page.png`.
    """
    page = browser.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    page.get_by_text("Model training", exact=True).click()
    page.get_by_role("link", name="digits", exact=True).click()
    expect(row(page, STUDY)).to_be_visible()
    yield page
    page.screenshot(path=tmp_path / "page.png")
    page.evaluate("localStorage.clear()")  # where MLflow remembers what was opened
    page.close()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def expand(page: Page) -> None:
    row(page, STUDY).get_by_role("button").first.click()
    expect(row(page, TRIALS[0])).to_be_visible()


def open_run(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("tab", name="Overview")).to_be_visible()


def compare(page: Page) -> None:
    expand(page)
    for trial in TRIALS:
        row(page, trial).get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text(f"Comparing {len(TRIALS)} Runs")).to_be_visible()


def trials_of(folder: Path) -> list[FrozenTrial]:
    journal = JournalFileBackend(str(folder / "multirun" / STUDY / "journal.log"))
    return optuna.load_study(study_name=STUDY, storage=JournalStorage(journal)).trials


def test_a_study_is_one_row_that_opens_into_its_trials(page: Page) -> None:
    # The grid has a second row for what it does not pin, where the winner has a link to its model.
    runs = page.get_by_role("row").filter(has=page.locator("a[href*='/runs/']"))
    expect(runs).to_have_count(1)
    expand(page)
    expect(runs).to_have_count(1 + len(TRIALS))
    for trial in TRIALS:
        expect(row(page, trial)).to_be_visible()


def test_compared_trials_open_on_what_varies_and_take_further_parameters(
    page: Page, study_folder: Path
) -> None:
    compare(page)
    axes = page.locator(".axis-title")
    expect(axes).to_have_text(
        ["data.batch_size", "model.channels", "model.kernel_size", "best/val_accuracy"]
    )
    top = max(t.value for t in trials_of(study_folder))
    expect(page.locator(".axis-extent-top").last).to_have_text(f"{top:.5f}")
    # A further parameter can be added.
    parameters = page.get_by_role("combobox").first
    parameters.click()
    parameters.fill("optimizer.lr")
    parameters.press("Enter")
    expect(page.locator(".axis-title").filter(has_text="optimizer.lr")).to_be_visible()


def test_the_studys_page_shows_its_best_value_counts_trials_and_figures(
    page: Page, study_folder: Path
) -> None:
    open_run(page, STUDY)
    for trial in TRIALS:
        # The note and MLflow's own list of child runs both lead to it.
        expect(page.get_by_role("link", name=trial, exact=True).first).to_be_visible()
    best = max(t.value for t in trials_of(study_folder))
    numbers = {"best/val_accuracy": best, "trials/complete": 4, "trials/failed": 0}
    for name, value in numbers.items():
        # A column for models follows, since the study has one.
        expect(row(page, name)).to_have_text(re.compile(rf"^{name}{value}\b"))
    expect(page.get_by_text("best/model.kernel_size")).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("figures", exact=True).click()
    for figure in FIGURES:
        page.get_by_label(f"{figure}.png", exact=True).click()
        picture = page.get_by_alt_text(f"figures/{figure}.png")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300


@pytest.mark.filterwarnings("ignore")
def test_the_printed_address_opens_the_study_which_leads_to_the_winners_model(
    browser: BrowserContext, address: str, study_folder: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{study_folder}/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'digits'")
    [run] = client.search_runs([experiment.experiment_id], f"run_name = '{STUDY}'")
    page = browser.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{address}/{page_of(run)}")
    expect(page.get_by_role("tab", name="Model metrics")).to_be_visible()
    with browser.expect_page() as opened:  # links of a note open a page of their own
        page.get_by_role("link", name="its network as a model").first.click()
    metric = opened.value.get_by_role("row").filter(has_text="val/accuracy")
    expect(metric.first).to_contain_text("digits")
    opened.value.close()
    page.close()


def test_a_trials_page_shows_the_objectives_curve_and_leads_back(page: Page) -> None:
    expand(page)
    open_run(page, TRIALS[0])
    expect(page.get_by_role("link", name=STUDY, exact=True)).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("^val/accuracy")
    expect(page.get_by_text("trial 0 (val/accuracy)")).to_be_visible()
    a_line = re.compile(r"^M.+L")  # and not the M alone of a single point
    expect(page.locator(".scatterlayer .js-line").first).to_have_attribute("d", a_line)
