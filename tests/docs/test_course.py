"""The commands of docs/course.md: all of them run here, with less work in each.

A comment before a fence in the page says what is special about it: `network` for commands that
download data, of which only the network is built; `server` for programs of others, which are not
started; `file: NAME` for the content of a file.
"""

import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sweeper
from page_text import FENCE, LESS, ONE_TRIAL, ROOT, overrides_of
from sweeper import evaluate, inspect, predict
from sweeper.build.recipe import network

PAGE = (ROOT / "docs/course.md").read_text(encoding="utf-8")
LONGER = LESS | {"trainer.epochs": "2"}
"""For a run that goes on after the epoch of the first one."""
FIRST = "python -m sweeper hydra.run.dir=first"


@dataclass(frozen=True)
class Fence:
    """A fence of the page: its mark, or an empty text, its language and its text."""

    mark: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line for line in self.text.splitlines() if self.language == "bash" and line]


FENCES = [Fence(m["mark"] or "", m["language"], m["text"]) for m in FENCE.finditer(PAGE)]
FILES = {f.mark.removeprefix("file: "): f.text for f in FENCES if f.mark.startswith("file: ")}
OFFLINE = [command for fence in FENCES if not fence.mark for command in fence.commands]
DOWNLOADING = [command for fence in FENCES if fence.mark == "network" for command in fence.commands]


def execute(command: str) -> None:
    """Run a command of the page in this process, with less work."""
    python, *words = shlex.split(command)
    assert python == "python"
    match words:
        case ["-m", "sweeper", "--multirun", *typed]:
            study = sweeper.sweep(*overrides_of(typed, ONE_TRIAL))
            assert len(study.trials) == 1
        case ["-m", "sweeper", "--config-dir", folder, *typed]:
            sweeper.run(*overrides_of(typed, LESS), config_dir=folder)
        case ["-m", "sweeper", *typed]:
            resumes = any(word.startswith("resume=") for word in typed)
            sweeper.run(*overrides_of(typed, LONGER if resumes else LESS))
        case ["-m", "sweeper.inspect", *typed]:
            inspect.main(typed)
        case ["-m", "sweeper.evaluate", *typed]:
            evaluate.evaluate(typed)
        case ["-m", "sweeper.predict", *typed]:
            predict.predict(typed)
        case [file]:
            runpy.run_path(file)
        case _:
            pytest.fail(f"the page has a command that no test can run: {command}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as the reader's: the page's files, and the first run."""
    place = tmp_path_factory.mktemp("course")
    for name, text in FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(place)
        execute(FIRST)
        runpy.run_path("save_digits.py")
        shutil.copytree("first", "mnist")  # in place of the run that needs a download
        yield place


def test_the_page_begins_with_the_run_that_the_others_use() -> None:
    assert OFFLINE[0] == FIRST


@pytest.mark.parametrize("command", OFFLINE[1:])
@pytest.mark.usefixtures("folder")
def test_a_command_works(command) -> None:
    execute(command)


@pytest.mark.parametrize("command", DOWNLOADING)
@pytest.mark.usefixtures("folder")
def test_a_command_that_downloads_describes_a_network_that_can_be_built(command) -> None:
    module, overrides = shlex.split(command)[2], shlex.split(command)[3:]
    assert module == "sweeper"
    built = network(inspect.composed(overrides))
    assert sum(parameter.numel() for parameter in built.model.parameters()) > 0


@pytest.mark.parametrize("part", ["--config-dir my_conf", "sweeper.evaluate checkpoint=first"])
def test_a_command_works_in_a_shell(python, folder, part) -> None:
    command = next(command for command in OFFLINE if part in command)
    words = shlex.split(command)[1:]
    if words[1] == "sweeper":
        words = [*words[:4], *overrides_of(words[4:], LESS)]
    done = subprocess.run([python, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
