"""Fixtures: the config of a small application, composed for a multirun, and its study."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from optuna.storages import BaseStorage, InMemoryStorage

from sweeper.sweep.budget import Budget
from sweeper.sweep.compose import Composer
from sweeper.sweep.ledger import Ledger
from sweeper.sweep.live import LiveSpace
from sweeper.sweep.space import parse_space
from sweeper.sweep.study import open_study

CONF = Path(__file__).parents[1] / "plugin" / "sphere" / "conf"


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    with initialize_config_dir(str(CONF), version_base=None):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def master(loader: ConfigLoader) -> Iterator[DictConfig]:
    config = loader.load_configuration("config", [], RunMode.MULTIRUN)
    config.hydra.job.name = "app"
    previous = HydraConfig.instance().cfg
    yield config
    HydraConfig.instance().cfg = previous


@pytest.fixture
def live(loader: ConfigLoader, master: DictConfig) -> Callable[..., LiveSpace]:
    def make(*lines: str, auto: bool | None = None) -> LiveSpace:
        space = parse_space(lines, loader, auto)
        return LiveSpace(space, Composer(loader, master, space))

    return make


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


@pytest.fixture
def make_ledger(storage: BaseStorage, tmp_path: Path) -> Callable[..., Ledger]:
    optuna.create_study(study_name="s", storage=storage)

    def make(n_trials: int | None = 2, grid: Sequence[Any] = (), **keys: Any) -> Ledger:
        budget = Budget(n_trials, **keys)
        return Ledger(open_study("s", storage), storage, tmp_path, budget, grid)

    return make
