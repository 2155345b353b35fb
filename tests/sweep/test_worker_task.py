"""The worker, as the task that a launcher runs."""

import pickle
from types import SimpleNamespace

import cloudpickle
from omegaconf import OmegaConf

from sweeper.sweep.worker_task import Worker


def test_the_config_of_a_workers_own_job_is_that_of_its_overrides(
    live, loader, master, tmp_path
) -> None:
    space = live("steps=4", "x=interval(1,2)", "shape=sphere,plane")
    spec = SimpleNamespace(space=space.space, folder=tmp_path)
    worker = Worker(spec, None, None, space.composer)
    own = worker.job_config(3)
    assert own.hydra.sweep.subdir == "workers/3"
    expected = loader.load_sweep_config(master, worker.job_overrides())
    expected.hydra.job.id, expected.hydra.job.num = "3", 3
    expected.hydra.sweep.subdir = "workers/3"  # as it is resolved in the job
    expected.hydra.overrides = own.hydra.overrides
    expected.hydra.job.override_dirname = own.hydra.job.override_dirname
    assert OmegaConf.to_container(own) == OmegaConf.to_container(expected)


def test_hydra_composes_the_configs_of_a_worker_on_another_host(
    live, loader, tmp_path, monkeypatch
) -> None:
    space = live("x=interval(1,2)", "shape=sphere,plane")
    worker = Worker(SimpleNamespace(space=space.space, folder=tmp_path), None, None, space.composer)
    worker.job_overrides()
    assert worker.elsewhere().supervises
    there = pickle.loads(cloudpickle.dumps(worker.elsewhere()))
    composed = []
    real = type(loader).load_sweep_config
    monkeypatch.setattr(
        type(loader), "load_sweep_config", lambda *a: composed.append(a) or real(*a)
    )
    there.job_config(0)
    assert composed
