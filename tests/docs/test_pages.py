"""The commands of the README and of docs/, found in the pages; docs/course.md has a test of its own.

A command is a line of a `bash` fence, or an indented line. A comment before a fence says that it is
a file of the reader: `file: NAME`. No command is left out: one that `check` does not know fails.

What is done with a command:

run      those with an option or callback of the page's own files, with less work; `evaluate`,
         `predict` and `deliver`, on a run and a study that were made here
built    all other runs: the config is composed, the data is read, and network, loss and optimizer
         are built as for a run, which then is not trained; of data that must be downloaded the
         network only
planned  all other studies: the space is read, each option is built with the ends of its
         parameters, sampler and pruner propose and decide; no trial is run
looked   `inspect` makes its table, without the picture; `worker` makes its command; `explain`
         finds its study
only read  programs of others (`OTHERS`), set-up commands, whose extras must exist, and what needs a
         database or another application (`NOT_HERE`)
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from PIL import Image

import sweeper
from sweeper import evaluate, explain, inspect, predict
from sweeper.build.recipe import network, verify
from sweeper.configs import CONFIGS
from sweeper.hydra_settings import StudySweeperConf
from sweeper.sweep.command import worker_command
from sweeper.sweep.plan import plan_study
from sweeper.tracking.deliver import deliver

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
WITH_OWN_TEST = "docs/course.md"
FENCE = re.compile(
    r"(?:<!-- (?P<mark>.+?) -->\n)?^ *```(?P<language>\w+)\n(?P<text>.*?)^ *```",
    re.DOTALL | re.MULTILINE,
)
OTHERS = {"mlflow", "tensorboard", "optuna-dashboard"}
"""Programs of others, which are not started."""
NOT_HERE = {"a database": "postgresql://", "another application": "my_app.py -m "}
"""What the commands that are only read need, and how they are known."""
LESS = {
    "trainer.epochs": "1",
    "trainer.train_limit": "64",
    "trainer.val_limit": "32",
    "tracking": "none",
    "figures": "false",
}
ONE_TRIAL = LESS | {"hydra.sweeper.n_trials": "1", "hydra/launcher": "basic"}
PLACES = {"outputs/<day>/<time>": "first", "multirun/<study>": "multirun/NAME"}
DOWNLOADING = {"mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn"}


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
        indented = re.findall(r"^ {4}((?:python|sweeper|mlflow) .+)$", self.outside, re.MULTILINE)
        text = "\n".join([*fences, *indented]).replace("\\\n", " ")
        return [line.strip() for line in text.splitlines() if line.strip()]

    @property
    def outside(self) -> str:
        """The text outside of fences."""
        return FENCE.sub("", self.text)

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
        for path in made.iterdir():
            (place / path.name).symlink_to(path)
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


def overrides_of(words: list[str], replaced: Mapping[str, str]) -> list[str]:
    """Return overrides with these values in place of those that they have."""
    kept = [word for word in words if word.partition("=")[0] not in replaced]
    return [*kept, *(f"{key}={value}" for key, value in replaced.items())]


def words_of(command: str) -> list[str]:
    """Return the words of a command, with the reader's paths in place of the page's."""
    for placeholder, path in PLACES.items():
        command = command.replace(placeholder, path)
    return shlex.split(command, comments=True)


def check(words: list[str], monkeypatch) -> None:
    """Run, build or plan a command, or look at it, as the docstring of this file says."""
    match words:
        case ["python", "-m", "pip", "install", "uv", "&&", *rest]:
            check(rest, monkeypatch)
        case ["python", "-m", "uv", "run", "--extra", extra, *rest]:
            require_extra(extra)
            check(rest, monkeypatch)
        case ["python", "-m", "uv", "run", "pytest"]:
            pass  # this is what runs here
        case ["python", "-m", "uv", "run", *rest]:
            check(rest, monkeypatch)
        case ["python", "-m", "uv", "sync", "--extra", extra]:
            require_extra(extra)
        case ["python", "-m", "sweeper", *rest]:
            folder, rest = config_dir_in(rest)
            check_call(folder, rest, monkeypatch)
        case ["python", "-m", "sweeper.inspect", *rest]:
            folder, rest = config_dir_in(rest)
            overrides = [word for word in rest if word != "--no-picture"]
            assert "parameter" in inspect.layer_table(overrides, folder)
        case ["python", "-m", "sweeper.evaluate", *rest]:
            evaluate.evaluate(rest)
        case ["python", "-m", "sweeper.predict", *rest]:
            predict.predict(rest)
        case ["python", "-m", "sweeper.tracking.deliver"]:
            assert deliver(Path.cwd()) == 0
        case ["python", "-m", "sweeper.worker", place, *rest] if "://" not in place:
            assert "hydra.sweeper.join=true" in worker_command(place, None, rest)
        case ["python", "-m", "sweeper.explain", *rest]:
            check_explained(rest, monkeypatch)
        case ["python", "my_app.py", *rest] if Path("my_app.py").is_file():
            assert Path("app_conf/config.yaml").is_file()
            check_keys(rest)  # a slow test below runs it
        case ["python", "my_app.py", "-m", *rest]:
            check_keys(rest)
        case [program, *_] if program in OTHERS:
            pass
        case _ if NOT_HERE["a database"] in " ".join(words):
            assert len(words) == 5  # a worker's storage and study
        case _:
            pytest.fail(f"the page has a command that no test can check: {shlex.join(words)}")


def require_extra(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]


def config_dir_in(words: list[str]) -> tuple[Path | None, list[str]]:
    match words:
        case ["--config-dir", folder, *rest]:
            return Path(folder), rest
    return None, words


def check_call(folder: Path | None, words: list[str], monkeypatch) -> None:
    """Run a run or a study that uses files of the page; build or plan others."""
    overrides = [word for word in words if word != "--multirun"]
    is_study = len(overrides) < len(words)
    is_own = folder is not None or any("callbacks." in word for word in words)
    if is_own and is_study:
        study = sweeper.sweep(*overrides_of(overrides, ONE_TRIAL), config_dir=folder)
        assert len(study.trials) == 1
    elif is_own:
        result = sweeper.run(*overrides_of(overrides, LESS), config_dir=folder)
        assert 0 <= result.metrics["test/accuracy"] <= 1
    elif is_study:
        assert planned(overrides, monkeypatch)
    else:
        config = inspect.composed(overrides)
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


def planned(overrides: list[str], monkeypatch) -> bool:
    """Plan a study, and check each option of its space; run no trial."""

    def plan_only(keys, task, context, config, arguments) -> None:
        loader: ConfigLoader = context.config_loader
        plan_study(keys, loader, config, arguments)
        raise PlannedError

    monkeypatch.setattr("sweeper.sweep.run_study.run_study", plan_only)
    monkeypatch.setattr("sweeper.launch.early.start_server", lambda modules: None)
    with pytest.raises(PlannedError):
        sweeper.sweep(*overrides)
    return True


def check_explained(words: list[str], monkeypatch) -> None:
    """Check that `explain` finds the study, and knows its arguments."""
    found: list[Path] = []

    def find_only(folder: Path, bounds: list[str]) -> None:
        found.append(folder)
        raise PlannedError

    monkeypatch.setattr(explain, "explained", find_only)
    with pytest.raises(PlannedError):
        explain.explain(words)
    assert (found[0] / "study.yaml").is_file()


def check_keys(words: list[str]) -> None:
    """Check that the keys of the plugin in a command of another application exist."""
    keys = [word.partition("=")[0] for word in words if word.startswith("hydra")]
    own = OmegaConf.structured(StudySweeperConf)
    for key in keys:
        assert (
            key in ("hydra/sweeper", "hydra/launcher") or key.removeprefix("hydra.sweeper.") in own
        )


@pytest.mark.parametrize(("page", "command"), COMMANDS)
@pytest.mark.usefixtures("reader")
def test_a_command_works(page, command, monkeypatch) -> None:
    check(words_of(command), monkeypatch)


@pytest.mark.parametrize("page", [page for page in PAGES if page != WITH_OWN_TEST])
def test_a_page_has_no_code_that_is_not_python_and_no_config_that_is_not_yaml(page) -> None:
    for fence in FENCE.finditer(Page(page).text):
        match fence["language"]:
            case "python":
                ast.parse(fence["text"])
            case "yaml" if (fence["mark"] or "").startswith("file: "):
                OmegaConf.create(fence["text"])


def test_an_unknown_command_fails(monkeypatch) -> None:
    with pytest.raises(pytest.fail.Exception, match="no test can check"):
        check(["python", "-m", "sweeper.nothing"], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/own.md"])
def test_another_application_uses_the_sweeper(reader, page) -> None:
    command = next(c for c in Page(page).commands if c.startswith("python my_app.py"))
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=reader, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(reader.glob("multirun/*/optimization_results.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/own.md"])
def test_the_callback_of_the_page_ends_a_run(reader, page, capsys) -> None:
    command = next(c for c in Page(page).commands if "my_callbacks.GoodEnough" in c)
    overrides = [w for w in words_of(command)[3:] if "accuracy=" not in w]
    low = ["+callbacks.mine.accuracy=0.0", "tracking=none", "figures=false"]
    sweeper.run(*overrides, *low)
    assert re.search(r"stopped +good enough after [\d.]+ s", capsys.readouterr().out)
