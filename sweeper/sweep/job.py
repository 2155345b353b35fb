"""Hydra's job of a trial, at a third of its cost.

Hydra's `run_job` copies the config five times and dumps it as YAML, which takes 30 ms. That is
nothing beside one job, and most of the time of a study whose trials are short. The job here is
Hydra's own, with the same files and the same configs. Only the copies and the dumps are quicker.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra.core.utils
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sweeper.space.copies import deep_copy
from sweeper.yaml_text import yaml_text


class _QuicklyCopied(DictConfig):
    """A config whose deep copies are made by pickling; pickled itself, it is a `DictConfig`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DictConfig:
        return deep_copy(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__new__, (DictConfig,), self.__getstate__()


class _HydraNode(_QuicklyCopied):
    """The node `hydra`, whose copies are copied again: Hydra holds it in a config of its own."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DictConfig:
        return _as(_HydraNode, deep_copy(self))


def run_trial_job(context: HydraContext, task: TaskFunction, config: DictConfig) -> JobReturn:
    """Run the task as Hydra's job in the folder that `hydra.sweep` names; return its result."""
    _as(_QuicklyCopied, config)
    _as(_HydraNode, config.hydra)
    with _dumping_quickly():
        return run_job(
            hydra_context=context,
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def _as(kind: type[DictConfig], config: DictConfig) -> DictConfig:
    object.__setattr__(config, "__class__", kind)
    return config


@contextmanager
def _dumping_quickly() -> Iterator[None]:
    """Let Hydra write its files with `yaml_text`, where it writes them by the function known."""
    name = "_save_config"
    original = getattr(hydra.core.utils, name, None)
    if original is None:
        yield
        return
    setattr(hydra.core.utils, name, _save_config)
    try:
        yield
    finally:
        setattr(hydra.core.utils, name, original)


def _save_config(config: Any, filename: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filename).write_text(yaml_text(config), encoding="utf-8")
