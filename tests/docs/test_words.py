"""What the pages name exists: the pages and headings they link to, files, keys and options."""

import re
import shlex
from pathlib import Path

import pytest

from page_text import FENCE, PAGES, ROOT
from sweeper.cli.vocabulary import Vocabulary

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"(?<![\w/])(?:conf|sweeper|tests|benchmarks|docs)/[\w/]+(?:\.\w+)?")
OVERRIDE = re.compile(r"[~+]?([\w./@]+)=(\S*)")
OF_OTHERS = {"docs/coming_from.md": 1, "docs/coming_from_hydra_optuna_sweeper.md": 1}
"""In the tables of these pages, the number of first columns with the words of other tools."""
ADDED = ("tags.", "callbacks.", "hydra.launcher.", "hydra.sweeper.params.", "hydra/sweeper")
"""What the user adds, or what another launcher or the official sweeper has, begins like this."""
ARGUMENTS = {
    *("checkpoint", "count", "folder", "split", "top", "trust"),  # of evaluate and predict
    *("epochs", "limit"),  # of explain
    *("config_dir", "storage", "input_shape", "step", "length"),  # of functions and classes
    "lr",  # in the name of a run
}
MISTAKES = {"epochs", "model=resnet101"}
"""What docs/options.md shows as typed wrongly."""


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary([])


def prose(page: str) -> str:
    """Return the text of a page outside of fences, without the words of other tools."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    n_others = OF_OTHERS.get(page, 0)
    lines = [
        "|".join(line.split("|")[1 + n_others :]) if line.startswith("|") else line
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def inline_code(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_a_heading(page) -> None:
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.is_file(), f"{page} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page} links to {target}"


def test_the_readme_links_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {target.partition("#")[0] for target in LINK.findall(text)}
    assert set(PAGES) - {"README.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_each_file_of_the_project_that_a_page_names_exists(page) -> None:
    for code in inline_code(page):
        for name in FILE.findall(code.replace("sweeper/NAME.py", "")):
            assert (ROOT / name).exists(), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_each_key_and_option_that_a_page_names_exists(page, vocabulary) -> None:
    for code in inline_code(page):
        try:
            words = shlex.split(code)
        except ValueError:  # a text with a single quote
            continue
        for word in words:
            match = OVERRIDE.fullmatch(word)
            if match and match[1] not in MISTAKES and word not in MISTAKES:
                assert is_known(match[1], match[2], vocabulary), f"{page}: {code}"


def is_known(key: str, value: str, vocabulary: Vocabulary) -> bool:
    """Return whether a key exists, here or in another option, and the option of a group too."""
    if key in vocabulary.groups and key != "hydra/sweeper":
        options = [v for v in value.split(",") if v.isidentifier() and v.islower()]
        return set(options) <= {*vocabulary.options(key), "mine", "null"}
    if key.startswith(ADDED) or key in ARGUMENTS or key.isupper():
        return True  # a word in capitals is a variable of the environment, or stands for any key
    return vocabulary.has(key) or any(each.key == key for each in vocabulary.suggestions(key))
