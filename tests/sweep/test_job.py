import copy
import pickle
from pathlib import Path

import pytest
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from sweeper.space.compose import Composer
from sweeper.space.space import parse_space
from sweeper.sweep.job import run_trial_job

FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


@pytest.fixture
def config(loader, master, tmp_path) -> DictConfig:
    composer = Composer(loader, master, parse_space(["steps=4"], loader))
    return composer.compose({"x": 2.5}, 7, tmp_path)


@pytest.fixture
def context(loader) -> HydraContext:
    return HydraContext(config_loader=loader, callbacks=Callbacks())


def by_hydra(context, task, config):
    return run_job(task, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)


def test_the_job_writes_the_files_of_hydras_own(context, config, tmp_path) -> None:
    original = copy.deepcopy(config)
    texts = []
    for run in (by_hydra, run_trial_job):
        run(context, lambda cfg: 1.0, copy.deepcopy(original))
        texts.append([(tmp_path / "7" / ".hydra" / name).read_text() for name in FILES])
    assert texts[0] == texts[1]


def test_the_task_and_the_result_have_the_configs_of_hydras_own(context, config) -> None:
    def task(cfg: DictConfig) -> object:
        return type(cfg), OmegaConf.to_container(cfg), HydraConfig.get().job.num

    one, other = (
        by_hydra(context, task, copy.deepcopy(config)),
        run_trial_job(context, task, config),
    )
    assert other.return_value == one.return_value
    assert (other.cfg, other.hydra_cfg) == (one.cfg, one.hydra_cfg)


def test_the_config_of_a_job_can_be_changed_and_pickled(context, config) -> None:
    def task(cfg: DictConfig) -> float:
        cfg.x = 9.0
        return 1.0

    job = run_trial_job(context, task, config)
    assert (job.cfg.x, config.x) == (9.0, 2.5)
    assert type(pickle.loads(pickle.dumps(job.hydra_cfg)).hydra) is DictConfig


def test_a_task_that_raises_fails_the_job(context, config) -> None:
    def task(cfg: DictConfig) -> float:
        raise ValueError("no")

    before = HydraConfig.instance().cfg
    assert run_trial_job(context, task, config).status == JobStatus.FAILED
    assert HydraConfig.instance().cfg is before


def test_hydras_own_function_is_back_after_the_job(context, config) -> None:
    import hydra.core.utils

    before = hydra.core.utils._save_config
    run_trial_job(context, lambda cfg: Path.cwd(), config)
    assert hydra.core.utils._save_config is before
