"""What every test may ask for; nothing here touches the home folder or a network."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from sweeper.app import CONFIGS


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@dataclass(frozen=True)
class Composed:
    """A composed config and the option of each group."""

    cfg: DictConfig
    choices: dict[str, str]


@pytest.fixture(scope="session")
def composed() -> Callable[..., Composed]:
    """Return a function that composes overrides as the command line does, untracked."""

    from sweeper.build import named_choices

    def compose_overrides(*overrides: str, hydra: bool = False) -> Composed | DictConfig:
        defaults = ["tracking=none", "figures=false"]
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            cfg = compose("config", [*defaults, *overrides], return_hydra_config=True)
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
    from sweeper.build import build

    def build_overrides(*overrides: str) -> object:
        got = composed(*overrides)
        return build(got.cfg, got.choices, tmp_path)

    return build_overrides


@pytest.fixture
def ran(composed: Callable[..., Composed], tmp_path: Path) -> Callable[..., float]:
    """Return a function that runs overrides in a folder below `tmp_path`."""
    from sweeper.run import Invocation, prepare

    def run_overrides(*overrides: str, folder: str = "run") -> float:
        got = composed(*overrides)
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        invocation = Invocation(got.choices, overrides, overrides, place, tmp_path)
        return prepare(got.cfg, invocation).execute()

    return run_overrides


class Recorder:
    """A tracker that keeps what it is told."""

    uri = run_id = None
    told: list[tuple[object, ...]] = []  # noqa: RUF012

    def start(self, info) -> None:
        self.told.append(("start", info))

    def log_metrics(self, metrics, step) -> None:
        self.told.append(("metrics", dict(metrics), step))

    def log_artifact(self, path, folder="") -> None:
        self.told.append(("artifact", path.name, folder))

    def log_histograms(self, name, values, step) -> None:
        self.told.append(("histograms", name, dict(values), step))

    def log_graph(self, model, images) -> None:
        self.told.append(("graph", tuple(images.shape)))

    def set_tags(self, tags) -> None:
        self.told.append(("tags", tags))

    def finish(self, status, reason="") -> None:
        self.told.append(("finish", status, reason))


@pytest.fixture
def told(monkeypatch):
    """Record what a run tells its tracker."""
    records: list[tuple[object, ...]] = []
    monkeypatch.setattr(Recorder, "told", records)
    monkeypatch.setattr("sweeper.tracking.tracker.NullTracker", Recorder)
    return records
