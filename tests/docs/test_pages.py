"""The commands of the README and of docs/, found in the pages. docs/course.md has its own test.

A command is a line of a `bash` fence, or an indented line. A comment before a fence says that it is
a file of the reader: `file: NAME`. No command is left out: one that is not in `CHECKS` fails.

What is done with a command:

run      those with an option or callback of the page's own files, with less work; `evaluate`,
         `predict` and `deliver`, on a run and a study that were made here
built    all other runs: the config is composed, the data is read, and network, loss and optimizer
         are built as for a run, which then is not trained; of data that must be downloaded the
         network only
planned  all other studies: the space is read, each option is composed with the ends of its
         parameters, and built unless the space is the options' own; sampler and pruner propose and
         decide; no trial is run
looked   `inspect` makes its table, without the picture; `worker` makes its command; `explain`
         finds its study
only read  programs of others (`start_nothing`), the set-up, whose extras must exist, a run that
         needs an extra (composed), a worker that needs a database, and another application, whose
         keys must exist
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

import sweeper
from page_text import FENCE, LESS, ONE_TRIAL, PAGES, ROOT, overrides_of
from sweeper import evaluate, explain, inspect, predict
from sweeper.build.recipe import network, verify
from sweeper.hydra_settings import StudySweeperConf
from sweeper.space.check_options import check_options, verifying
from sweeper.space.space import Space
from sweeper.sweep.command import worker_command
from sweeper.sweep.plan import plan_study
from sweeper.sweep.settings.dry_run import check_search
from sweeper.tracking.deliver import deliver

WITH_OWN_TEST = "docs/course.md"
INDENTED = re.compile(
    r"^ {4,}((?:\w+=\S+ )*(?:python|sweeper|mlflow|tensorboard) .+)$", re.MULTILINE
)
PLACES = {"outputs/<day>/<time>": "first", "multirun/<study>": "multirun/NAME"}
DOWNLOADING = {"mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"}


QUOTED = re.compile(r"""'[^']*'|"[^"]*"|(?:^|\s)\#.*""")
"""What a shell takes as it is, and comments."""
OVERRIDE = re.compile(r"[~+]*\w+(?:[./@]\w+)+=\S+")

Words = list[str]


@dataclass(frozen=True)
class Page:
    """A page: its commands, and the files that it tells the reader to write."""

    name: str

    @property
    def text(self) -> str:
        return (ROOT / self.name).read_text(encoding="utf-8")

    @property
    def commands(self) -> list[str]:
        fences = [m["text"] for m in FENCE.finditer(self.text) if m["language"] == "bash"]
        indented = INDENTED.findall(FENCE.sub("", self.text))
        text = "\n".join([*fences, *indented]).replace("\\\n", " ")
        return [line.strip() for line in text.splitlines() if line.strip()]

    @property
    def files(self) -> dict[str, str]:
        marked = [m for m in FENCE.finditer(self.text) if (m["mark"] or "").startswith("file: ")]
        return {m["mark"].removeprefix("file: "): m["text"] for m in marked}


COMMANDS = [(p, c) for p in PAGES if p != WITH_OWN_TEST for c in dict.fromkeys(Page(p).commands)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, draw_voc) -> Path:
    """What the readers of all pages have: a run, a study, and images."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        sweeper.run(*overrides_of(["hydra.run.dir=first"], LESS))
        shutil.copytree("first", "mnist")  # in place of the run that needs a download
        # The network of the recipe for transfer, trained on the data that is here.
        lenet = ["experiment=digits_transfer", "init.weights=null", "hydra.run.dir=mnist_lenet"]
        sweeper.run(*overrides_of(lenet, LESS))
        shutil.copytree("first", "multirun/<study>")
        name = "hydra.sweeper.study_name=NAME"
        sweeper.sweep(*overrides_of(["search=cnn", name], ONE_TRIAL))
        shutil.copytree("multirun/NAME", "multirun/rates")
    draw_voc(place / "FOLDER", train=8, val=4, test=4)
    for file in ("photo.png", "folder_of_images/1.png"):
        draw_image(place / file)
    for i in range(20):
        for flower in ("rose", "tulip"):
            draw_image(place / f"flowers/{flower}/{i}.png")
    return place


@pytest.fixture(scope="module")
def readers(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of the reader of each page, with the files of the page."""
    places = {}
    for page in PAGES:
        place = places[page] = tmp_path_factory.mktemp("reader")
        shutil.copytree(made, place, dirs_exist_ok=True)
        for name, text in Page(page).files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8")
    return places


@pytest.fixture
def reader(request, readers: dict[str, Path], monkeypatch) -> Iterator[Path]:
    """Enter the folder of a page's reader. Two pages may have modules of one name."""
    page = request.getfixturevalue("page")
    monkeypatch.chdir(readers[page])
    monkeypatch.syspath_prepend(readers[page])
    yield readers[page]
    for name in Page(page).files:
        sys.modules.pop(Path(name).stem, None)


def draw_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), "white").save(path)


def words_of(command: str) -> Words:
    """Return the words of a command, with the reader's paths in place of the page's."""
    for placeholder, path in PLACES.items():
        command = command.replace(placeholder, path)
    return shlex.split(command, comments=True)


class Tools(NamedTuple):
    """What the checks need: a patch of this test, and a function that composes a config."""

    patch: pytest.MonkeyPatch
    composed: Callable[..., Any]


def check(words: Words, tools: Tools) -> None:
    """Run, build or plan a command, or look at it, as the docstring of this file says."""
    while re.match(r"[A-Z_]+=", words[0]):  # a variable of the environment
        words = words[1:]
    for known, checked in sorted(CHECKS.items(), key=lambda item: -len(item[0])):
        program = known.split()
        if words[: len(program)] == program:
            checked(words[len(program) :], tools)
            return
    pytest.fail(f"the page has a command that no test can check: {shlex.join(words)}")


def check_extra(words: Words, tools: Tools) -> None:
    """Check that an extra exists, and compose the run after it if there is one.

    The run is not built, since the extra may not be installed here.
    """
    extra, *rest = words
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    if rest:
        assert rest[:3] == ["python", "-m", "sweeper"]
        tools.composed("tracking=mlflow", *rest[3:])


def check_tests(words: Words, tools: Tools) -> None:
    """Check that the command of the tests, which runs here, is that of the continuous integration.

    The rest of the line is the same.
    """
    assert words == []
    line = "python -m pip install uv && python -m uv run pytest"
    assert line in (ROOT / ".ci/run").read_text(encoding="utf-8")


def config_dir_in(words: Words) -> tuple[Path | None, Words]:
    match words:
        case ["--config-dir", folder, *rest]:
            return Path(folder), rest
    return None, words


OWN = ("+callbacks.", "hydra.searchpath=")
"""Overrides that bring in code or configs of the page."""


def check_call(words: Words, tools: Tools) -> None:
    """Run a run or a study that uses files of the page; build or plan others."""
    folder, words = config_dir_in(words)
    overrides = [word for word in words if word != "--multirun"]
    is_study = len(overrides) < len(words)
    is_own = folder is not None or any(word.startswith(OWN) for word in words)
    if is_own and is_study:
        study = sweeper.sweep(*overrides_of(overrides, ONE_TRIAL), config_dir=folder)
        assert len(study.trials) == 1
    elif is_own:
        result = sweeper.run(*overrides_of(overrides, LESS), config_dir=folder)
        assert 0 <= result.metrics["test/accuracy"] <= 1
    elif is_study:
        check_plan(overrides, tools)
    else:
        config = tools.composed("tracking=mlflow", *overrides, hydra=True)  # as the default
        if must_download(config):
            assert network(config).batch_size
        else:
            verify(config)


def must_download(config: DictConfig) -> bool:
    data = config.data
    by_name = {data.get("name"), data.get("source")} & DOWNLOADING
    return bool(by_name) or (data.get("year") is not None and data.download)


class PlannedError(BaseException):
    """The end of a study after its plan."""


CHECKED: list[Space] = []
"""The spaces whose options were checked; many pages search the same one."""


def check_plan(overrides: Words, tools: Tools) -> None:
    """Plan a study, and check each option of its space; run no trial."""

    def plan_only(keys, task, context, config, arguments) -> None:
        plan = plan_study({**keys, "check": False}, context.config_loader, config, arguments)
        if plan.spec.space not in CHECKED:
            CHECKED.append(plan.spec.space)
            # The options' own spaces are built in tests/conf, once for all pages.
            check_options(plan.live, None if plan.spec.space.auto else verifying(verify))
        check_search(plan.spec.sampler, plan.spec.pruner, plan.settings.directions, plan.live)
        raise PlannedError

    tools.patch.setattr("sweeper.sweep.run_study.run_study", plan_only)
    tools.patch.setattr("sweeper.launch.early.start_server", lambda modules: None)
    with pytest.raises(PlannedError):
        sweeper.sweep(*overrides)


def check_table(words: Words, tools: Tools) -> None:
    folder, words = config_dir_in(words)
    overrides = [word for word in words if word != "--no-picture"]
    with redirect_stdout(StringIO()) as out:
        inspect.show(overrides, folder, None)
    assert "parameter" in out.getvalue()


def check_worker(words: Words, tools: Tools) -> None:
    place, *rest = words
    if "://" in place:  # needs a database
        assert len(rest) == 1, "the name of the study in it"
    else:
        assert "hydra.sweeper.join=true" in worker_command(place, None, rest)


def check_explained(words: Words, tools: Tools) -> None:
    """Check that `explain` finds the study, and knows its arguments."""
    found: list[Path] = []

    def find_only(folder: Path, bounds: list[str]) -> None:
        found.append(folder)
        raise PlannedError

    tools.patch.setattr(explain, "explained", find_only)
    with pytest.raises(PlannedError):
        explain.explain(words)
    assert (found[0] / "study.yaml").is_file()


def check_application(words: Words, tools: Tools) -> None:
    """Check that the keys of the plugin in a command of another application exist.

    If the page has the application, a test below runs it.
    """
    keys = [word.partition("=")[0] for word in words if word.startswith("hydra")]
    own = OmegaConf.structured(StudySweeperConf)
    for key in set(keys) - {"hydra/sweeper", "hydra/launcher"}:
        assert key.removeprefix("hydra.sweeper.") in own


def start_nothing(words: Words, tools: Tools) -> None:
    """Leave out a program of others."""


CHECKS: Mapping[str, Callable[[Words, Tools], object]] = {
    "python -m pip install uv &&": check,
    "python -m uv run": check,
    "python -m uv run --extra": check_extra,
    "python -m uv run --with optuna-dashboard": start_nothing,
    "python -m uv sync --extra": check_extra,
    "pytest": check_tests,
    "python -m sweeper": check_call,
    "python -m sweeper.inspect": check_table,
    "python -m sweeper.evaluate": lambda words, _: evaluate.evaluate(words),
    "python -m sweeper.predict": lambda words, _: predict.predict(words),
    "python -m sweeper.worker": check_worker,
    "python -m sweeper.explain": check_explained,
    "python -m sweeper.tracking.deliver": lambda *_: deliver(Path.cwd()),
    "python my_app.py": check_application,
    "mlflow": start_nothing,
    "tensorboard": start_nothing,
}
"""How each program is checked, by its first words; the longest that fit decide."""


@pytest.mark.parametrize(("page", "command"), COMMANDS)
@pytest.mark.usefixtures("reader")
def test_a_command_works(page, command, monkeypatch, composed) -> None:
    check(words_of(command), Tools(monkeypatch, composed))


def bare_brackets(words: Iterable[str]) -> list[str]:
    """Return the words with characters that a shell replaces by names of files, or refuses."""
    return [word for word in words if set(word) & set("[]{}()*?")]


@pytest.mark.parametrize("page", PAGES)
def test_a_word_with_brackets_is_quoted_since_zsh_refuses_it_otherwise(page) -> None:
    for command in Page(page).commands:
        assert bare_brackets(QUOTED.sub(" ", command).split()) == [], command
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", Page(page).text)):
        assert bare_brackets(OVERRIDE.findall(QUOTED.sub(" ", code))) == [], code


@pytest.mark.parametrize("page", [page for page in PAGES if page != WITH_OWN_TEST])
def test_a_page_has_no_code_that_is_not_python_and_no_config_that_is_not_yaml(page) -> None:
    for fence in FENCE.finditer(Page(page).text):
        match fence["language"]:
            case "python":
                ast.parse(textwrap.dedent(fence["text"]))
            case "yaml" if (fence["mark"] or "").startswith("file: "):
                OmegaConf.create(fence["text"])


def test_an_unknown_command_fails(monkeypatch, composed) -> None:
    with pytest.raises(pytest.fail.Exception, match="no test can check"):
        check(["python", "-m", "sweeper.nothing"], Tools(monkeypatch, composed))


@pytest.mark.parametrize("page", ["docs/own.md"])
def test_another_application_uses_the_sweeper(python, reader, page) -> None:
    command = next(c for c in Page(page).commands if c.startswith("python my_app.py"))
    done = subprocess.run(
        [python, *shlex.split(command)[1:]],
        cwd=reader, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(reader.glob("multirun/*/optimization_results.yaml"))


@pytest.mark.parametrize("page", ["docs/own.md"])
def test_the_callback_of_the_page_ends_a_run(reader, page, capsys) -> None:
    command = next(c for c in Page(page).commands if "my_callbacks.GoodEnough" in c)
    overrides = [w for w in words_of(command)[3:] if "goal=" not in w]
    low = ["+callbacks.mine.goal=0.0", "tracking=none", "figures=false"]
    sweeper.run(*overrides, *low)
    assert re.search(r"stopped +good enough after [\d.]+ s", capsys.readouterr().out)
