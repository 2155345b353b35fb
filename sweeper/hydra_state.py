"""What Hydra keeps for the whole process, replaced for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase
from omegaconf import DictConfig

OF_COMPOSITION = (GlobalHydra, VersionBase)
"""The singletons that the composition of a config sets."""

OF_AN_APPLICATION = (*OF_COMPOSITION, HydraConfig, JobRuntime)
"""The singletons that belong to one application; the caller may have one open."""


@contextmanager
def as_hydra_config(config: DictConfig) -> Iterator[None]:
    """Resolve `${hydra:...}` against this config; Hydra's own `set_config` would copy all of it."""
    previous = HydraConfig.instance().cfg
    HydraConfig.instance().cfg = config  # type: ignore[assignment]
    try:
        yield
    finally:
        HydraConfig.instance().cfg = previous


@contextmanager
def without_singletons(*singletons: Singleton) -> Iterator[None]:
    """Set aside these singletons, which are those of a command or of a caller from Python."""
    before = {each: Singleton._instances.pop(each, None) for each in singletons}
    try:
        yield
    finally:
        for each, instance in before.items():
            Singleton._instances.pop(each, None)
            if instance is not None:
                Singleton._instances[each] = instance
