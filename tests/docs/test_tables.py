"""The tables and lists of the pages have every option, and the numbers that the code gives."""

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from sweeper.cli.vocabulary import Vocabulary
from sweeper.configs import CONFIGS
from sweeper.inspect import show

DOCS = Path(__file__).parents[2] / "docs"
IMAGES_OF = {"1 x 28 x 28": "mnist", "3 x 32 x 32": "cifar10"}


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of a table whose first cell of the heading is `heading`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    table = text[text.index(f"\n| {heading} |") :].partition("\n\n")[0].strip()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def names(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary([])


def test_the_table_of_groups_has_every_option(vocabulary) -> None:
    listed = {names(group)[0]: names(options) for group, options in rows("options.md", "group")}
    groups = {group for group in vocabulary.groups if "/" not in group and "@" not in group}
    options = {group: vocabulary.options(group) for group in groups}
    options["experiment"] = []  # docs/recipes.md lists them
    assert {group: sorted(found) for group, found in listed.items()} == options


@pytest.mark.parametrize("group", ["sampler", "pruner"])
def test_the_lists_of_samplers_and_pruners_have_every_option(group, vocabulary) -> None:
    text = (DOCS / "sweeps.md").read_text(encoding="utf-8")
    [(first, others)] = re.findall(
        rf"\n- `hydra/sweeper/{group}=(\w+)`(.+?)\n(?:-|\n)", text, re.DOTALL
    )
    assert sorted([first, *names(others)]) == vocabulary.options(f"hydra/sweeper/{group}")


@pytest.fixture
def _no_hydra_afterwards() -> Iterator[None]:
    yield
    HydraConfig.instance().cfg = None


NETWORKS = rows("course.md", "network")


@pytest.mark.usefixtures("_no_hydra_afterwards")
@pytest.mark.parametrize("row", NETWORKS, ids=[row[0] for row in NETWORKS])
def test_the_table_of_networks_has_the_numbers_of_inspect(row) -> None:
    network, images, *numbers = row
    with redirect_stdout(StringIO()) as out:
        show([f"model={names(network)[0]}", f"data={IMAGES_OF[images]}"], None, None)
    [totals] = re.findall(r"^total +([\d,]+) +([\d,]+)", out.getvalue(), re.MULTILINE)
    fields = re.findall(r"^\S+ +(?:Conv|\w*Pool)\w* .* (\d+) +\S+$", out.getvalue(), re.MULTILINE)
    assert numbers == [*totals, f"{fields[-1]} x {fields[-1]}"]


def test_the_table_of_recipes_has_the_results_in_their_files() -> None:
    listed = rows("recipes.md", "recipe")
    recipes = {path.stem for path in (CONFIGS / "experiment").glob("*.yaml")} - {"none"}
    assert sorted(name for row in listed for name in names(row[0])) == sorted(recipes)
    for cells in listed:
        for name in names(cells[0]):
            text = (CONFIGS / f"experiment/{name}.yaml").read_text(encoding="utf-8")
            comment = " ".join(x.lstrip("# ") for x in text.splitlines() if x.startswith("# "))
            _, _, test, validation, seconds = cells
            if test == "not yet measured":
                assert "Not yet measured" in comment, name
            else:
                results = [test.split()[0], validation]
                assert re.findall(r"\b0\.\d{4}\b", comment) == results, name
                assert f" {seconds} s on one core " in comment, name
