"""Configs of trials, composed by Hydra once a choice of options and filled in for each trial.

Hydra reads and merges every YAML file again for each composition (33 ms for a small application,
100 ms for ours). Overrides of plain values cannot change what is merged, so one composition
serves all trials that choose the same options; a trial then costs a copy and a few updates.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from sweeper.cli.overrides import override_line
from sweeper.sweep.space import Space, Value

MAX_BASES = 64  # A sampled `+key=` is one composition a value, and a study may have thousands.


class Composer:
    """Composes one study's trials from Hydra's master config."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, space: Space) -> None:
        self._loader, self._master, self._space = loader, master, space
        self._parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._groups: dict[str, bool] = {}

    def is_group(self, key: str) -> bool:
        """Tell whether `key` (prefix and package aside) is a config group."""
        group = key.lstrip("+~").partition("@")[0]
        if group not in self._groups:
            options = self._loader.get_group_options(group, results_filter=ObjectType.CONFIG)
            self._groups[group] = bool(options)
        return self._groups[group]

    def base(self, params: Mapping[str, Value]) -> DictConfig:
        """Return the composition that these options give, without the sampled plain values."""
        structural = {k: v for k, v in params.items() if self._is_structural(k)}
        key = tuple(override_line(k, v) for k, v in structural.items())
        if key not in self._bases:
            lines = [*self._space.fixed.values(), *key]
            self._bases[key] = self._loader.load_sweep_config(self._master, lines)
        base = self._bases[key]
        while len(self._bases) > MAX_BASES:
            del self._bases[next(iter(self._bases))]
        return base

    def compose(self, params: Mapping[str, Value], number: int, folder: Path) -> DictConfig:
        """Return trial `number`'s config, equal to Hydra's own for the same overrides.

        Raises Hydra's own error for an override that does not fit.
        """
        lines = self.lines(params)
        plain = [override_line(k, v) for k, v in params.items() if not self._is_structural(k)]
        try:
            config = copy.deepcopy(self.base(params))
            for override in self._parser.parse_overrides(plain):
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            config = self._loader.load_sweep_config(self._master, lines)
        _set_job(config, lines, self._parser.parse_overrides(lines), number, folder)
        return config

    def lines(self, params: Mapping[str, Value]) -> list[str]:
        """Return a trial's overrides: the swept ones, then the fixed ones."""
        return [*(override_line(k, v) for k, v in params.items()), *self._space.fixed.values()]

    def _is_structural(self, key: str) -> bool:
        return key[0] in "+~" or "@" in key or self.is_group(key)


def job_subdir(config: DictConfig) -> str:
    """Return the folder that `hydra.sweep.subdir` gives a job, below the sweep's."""
    before = HydraConfig.instance().cfg
    # For `${hydra:...}`; set_config would copy all of it.
    HydraConfig.instance().cfg = config  # type: ignore[assignment]
    try:
        return str(config.hydra.sweep.subdir)
    finally:
        HydraConfig.instance().cfg = before


def _set_job(
    config: DictConfig, lines: list[str], parsed: list[Override], number: int, folder: Path
) -> None:
    """Fill in what Hydra records of a job."""
    with read_write(config), open_dict(config), read_write(config.hydra):
        config.hydra.overrides.task = lines
        config.hydra.job.override_dirname = _dirname(config, parsed)
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
        config.hydra.sweep.dir = str(folder)


def _dirname(config: DictConfig, parsed: list[Override]) -> str:
    rule: Any = config.hydra.job.config.override_dirname
    kept = sorted(str(o.input_line) for o in parsed if o.key_or_group not in rule.exclude_keys)
    return str(rule.item_sep).join(kept).replace("=", str(rule.kv_sep))
