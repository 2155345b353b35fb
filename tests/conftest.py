"""Fixtures for all tests. None of them uses the home folder or a network."""

import copy
import logging
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageDraw

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # eight processes for each server
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import settings
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sweeper.configs import CONFIGS
from sweeper.errors import SweeperError
from sweeper.hydra_versions import COMPOSING
from sweeper.launch.resources import THREAD_VARIABLES
from sweeper.space.compose import Composer
from sweeper.space.live import LiveSpace
from sweeper.space.space import parse_space

SPHERE = Path(__file__).parent / "plugin" / "sphere" / "conf"
PROCESSES = Path(__file__).parent / "processes"

# The same examples in each run, whatever earlier ones have found and however slow the machine is.
REPEATABLE = "SWEEPER_TEST_EXAMPLES" not in os.environ
settings.register_profile("sweeper", derandomize=REPEATABLE, database=None, deadline=None)
settings.load_profile("sweeper")


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: many tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail that is skipped in CI, which has all that the tests need."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Undo what a test, or Hydra within it, has set in Python's logging."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        yield


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Return a function that waits until a condition is true, and fails after some seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not become true"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a program that does what Python does, but has imported this package and its libraries.

    It is for tests of what a command prints, writes and returns. Those of how it starts, and those
    that look at its processes or kill them, take `sys.executable`.
    """
    if sys.platform != "linux":
        yield sys.executable
        return
    address = f"sweeper-{secrets.token_hex(8)}"
    stub = tmp_path_factory.mktemp("program") / "python"
    words = [sys.executable, "-IS", str(PROCESSES / "python_stub.py"), address, sys.executable]
    stub.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    stub.chmod(0o755)
    code = "import sys; sys.path[0] = sys.argv.pop(1); import python_server; python_server.main()"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0{address}")
        listener.listen()
        arguments = [str(PROCESSES), str(listener.fileno()), str(stub)]
        # A process that has a second thread cannot be forked. Arrow's allocator would start one.
        allocator = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
        one_thread = dict.fromkeys(THREAD_VARIABLES, "1") | allocator
        with subprocess.Popen(
            [sys.executable, "-c", code, *arguments], pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | one_thread,
        ) as server:  # fmt: skip
            # Its standard streams are pipes, as those of most commands; a stream keeps its kind.
            assert server.stdout is not None
            assert (line := server.stdout.readline()) == b"ready\n", line + server.stdout.read()
            yield str(stub)
            assert server.stdin is not None
            server.stdin.close()


@dataclass(frozen=True)
class Composed:
    """A composed config and the option of each group."""

    cfg: DictConfig
    choices: dict[str, str]


class Compositions:
    """Composes configs, and calls Hydra once for each choice of options.

    Hydra takes a fifth of a second to read and merge the YAML files. Overrides of plain values do
    not change which files are read, so they are written into a copy.
    """

    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return the config, with its `hydra` node, that Hydra composes from these overrides."""
        structural = tuple(text for text in overrides if self._is_structural(text))
        plain = [text for text in overrides if text not in structural]
        if structural not in self._bases:
            self._bases[structural] = self._compose(structural)
        config = copy.deepcopy(self._bases[structural])
        try:
            for override in self._parser.parse_overrides(plain):
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except (HydraException, OmegaConfBaseException):
            return self._compose(overrides)  # raises what Hydra raises
        return config

    def _is_structural(self, override: str) -> bool:
        key, _, _ = override.partition("=")
        return key[0] in "+~" or "@" in key or "/" in key or (CONFIGS / key).is_dir()

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        with initialize_config_dir(str(CONFIGS), **COMPOSING):
            return compose("config", list(overrides), return_hydra_config=True)


@pytest.fixture(scope="session")
def composed() -> Callable[..., Composed]:
    """Return a function that composes the config of overrides, with tracking and figures off."""

    from sweeper.build.choices import named_choices

    compositions = Compositions()

    def compose_overrides(*overrides: str, hydra: bool = False) -> Composed | DictConfig:
        cfg = compositions.compose(["tracking=none", "figures=false", *overrides])
        if hydra:
            return cfg
        choices = cfg.hydra.runtime.choices
        with open_dict(cfg):
            del cfg["hydra"]
        return Composed(cfg, named_choices(cfg, choices))

    return compose_overrides


@pytest.fixture
def built(composed: Callable[..., Composed], tmp_path: Path) -> Callable[..., object]:
    """Return a function that builds the experiment of overrides."""
    from sweeper.build.recipe import build

    def build_overrides(*overrides: str) -> object:
        got = composed(*overrides)
        return build(got.cfg, got.choices, tmp_path)

    return build_overrides


@pytest.fixture
def ran(composed: Callable[..., Composed], tmp_path: Path) -> Callable[..., float]:
    """Return a function that runs overrides in a folder below `tmp_path`."""
    from sweeper.run.invocation import Invocation
    from sweeper.run.start import start

    def run_overrides(*overrides: str, folder: str = "run") -> float:
        got = composed(*overrides)
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        invocation = Invocation(got.choices, overrides, overrides, place, tmp_path)
        return start(got.cfg, invocation).execute()

    return run_overrides


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, ...]]]:
    """A folder with one finished run for each tuple of overrides in the list, and the list."""
    return tmp_path_factory.mktemp("kept"), []


@pytest.fixture
def ran_before(
    ran: Callable[..., float], tmp_path: Path, _kept: tuple[Path, list[tuple[str, ...]]]
) -> Callable[..., Path]:
    """Return a function that returns the folder `run` below `tmp_path`, of a finished run.

    Only the first test that asks for a run waits for it; the others get a copy of its folder.
    """
    kept, known = _kept

    def run(*overrides: str) -> Path:
        folder = tmp_path / "run"
        if overrides not in known:
            ran(*overrides)
            shutil.copytree(folder, kept / str(len(known)))
            known.append(overrides)
        else:
            shutil.copytree(kept / str(known.index(overrides)), folder)
        return folder

    return run


@pytest.fixture(scope="session")
def refuses() -> Callable[..., AbstractContextManager[pytest.ExceptionInfo[SweeperError]]]:
    """Return a context manager that expects an error, and that its message is one line."""

    @contextmanager
    def expect(
        error: type[SweeperError], pattern: str
    ) -> Iterator[pytest.ExceptionInfo[SweeperError]]:
        with pytest.raises(error, match=pattern) as caught:
            yield caught
        assert "\n" not in str(caught.value)

    return expect


class Recorder:
    """A tracker that keeps every call in a list."""

    uri = run_id = page = None
    wants_model = False
    tracked: list[tuple[object, ...]] = []  # noqa: RUF012

    def start(self, info) -> None:
        self.tracked.append(("start", info))

    def log_metrics(self, metrics, step) -> None:
        self.tracked.append(("metrics", dict(metrics), step))

    def log_artifact(self, path, folder="", step=None) -> None:
        self.tracked.append(("artifact", path.name, folder))

    def log_histograms(self, name, values, step) -> None:
        self.tracked.append(("histograms", name, dict(values), step))

    def log_graph(self, model, images) -> None:
        self.tracked.append(("graph", tuple(images.shape)))

    def begin_model(self, build) -> None:
        self.tracked.append(("begin model",))

    def log_model(self, build, metrics, step) -> None:
        self.tracked.append(("model", dict(metrics), step))

    def set_tags(self, tags) -> None:
        self.tracked.append(("tags", tags))

    def finish(self, status, reason="") -> None:
        self.tracked.append(("finish", status, reason))


@pytest.fixture
def tracked(monkeypatch):
    """Record what a run tells its tracker."""
    records: list[tuple[object, ...]] = []
    monkeypatch.setattr(Recorder, "tracked", records)
    monkeypatch.setattr("sweeper.tracking.tracker.NullTracker", Recorder)
    return records


SHAPES = ("circle", "square", "triangle")
Boxes = list[tuple[str, tuple[int, int, int, int], bool]]


def drawn_shapes(rng: np.random.Generator) -> tuple[Image.Image, Boxes]:
    """Return shapes on a random background, and their names, boxes and difficulty: the tiny ones.

    Each shape is there in half of the pictures, and tiny in a tenth of these.
    """
    noise = rng.integers(0, 96, (40, 48, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    boxes: Boxes = []
    for name in SHAPES:
        if rng.random() < 0.5:
            tiny = rng.random() < 0.1
            side = 3 if tiny else int(rng.integers(12, 18))
            x, y = int(rng.integers(48 - side)), int(rng.integers(40 - side))
            _draw(ImageDraw.Draw(image), name, (x, y, x + side, y + side), rng)
            boxes.append((name, (x, y, x + side, y + side), tiny))
    return image, boxes


def _draw(pen: ImageDraw.ImageDraw, name: str, box: tuple[int, ...], rng) -> None:
    colour = tuple(int(level) for level in rng.integers(128, 256, 3))
    left, top, right, bottom = box
    if name == "circle":
        pen.ellipse(box, fill=colour)
    elif name == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([((left + right) // 2, top), (right, bottom), (left, bottom)], fill=colour)


def annotation(file: str, boxes: Boxes) -> bytes:
    """Return an annotation as VOC writes them."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    for name, box, difficult in boxes:
        each = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(each, "name").text = name
        ElementTree.SubElement(each, "difficult").text = str(int(difficult))
        corners = ElementTree.SubElement(each, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ElementTree.SubElement(corners, key).text = str(value)
    return ElementTree.tostring(root)


@pytest.fixture(scope="session")
def draw_voc() -> Callable[..., Path]:
    """Return a function that draws a tree as VOC's, with so many pictures of shapes a split."""

    def draw(root: Path, **counts: int) -> Path:
        folder, rng = root / "VOCdevkit/VOC2012", np.random.default_rng(0)
        for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (folder / part).mkdir(parents=True)
        for split, count in counts.items():
            ids = [f"{split}_{i:04}" for i in range(count)]
            (folder / f"ImageSets/Main/{split}.txt").write_text("\n".join(ids) + "\n")
            for one in ids:
                image, boxes = drawn_shapes(rng)
                image.save(folder / f"JPEGImages/{one}.jpg", quality=95)
                (folder / f"Annotations/{one}.xml").write_bytes(annotation(f"{one}.jpg", boxes))
        return root

    return draw


@pytest.fixture(scope="session")
def shapes(draw_voc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of shapes that is large enough to learn from; not to be written into."""
    return draw_voc(tmp_path_factory.mktemp("shapes"), train=600, val=200, test=100)


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    """Hydra's loader of the configs of a small application."""
    with initialize_config_dir(str(SPHERE), **COMPOSING):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def master(loader: ConfigLoader) -> Iterator[DictConfig]:
    """The config of the small application, composed for a multirun."""
    config = loader.load_configuration("config", [], RunMode.MULTIRUN)
    config.hydra.job.name = "app"
    previous = HydraConfig.instance().cfg
    yield config
    HydraConfig.instance().cfg = previous


@pytest.fixture
def live(loader: ConfigLoader, master: DictConfig) -> Callable[..., LiveSpace]:
    """Return a function that makes a search space of the small application."""

    def make(*lines: str, auto: bool | None = None) -> LiveSpace:
        space = parse_space(lines, loader, auto)
        return LiveSpace(space, Composer(loader, master, space))

    return make
