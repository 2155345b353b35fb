"""The configs of trials, composed by Hydra once for each choice of options.

Hydra reads and merges every YAML file again for each composition (33 ms for a small application,
100 ms for ours). Plain values do not change which files are merged, so all trials that choose the
same options share one composition. Each further trial costs a copy and a few updates.
"""

import os
import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from sweeper.cli.overrides import bare_key, override_line
from sweeper.concealment import conceal_config
from sweeper.hydra_state import as_hydra_config
from sweeper.space.copies import Template
from sweeper.space.space import Space, Value

# Each value of a sampled `+key=` is a composition of its own, and a study may have thousands.
MAX_CACHED_CONFIGS = 64
MAX_CACHED_OVERRIDES = 1000
HYDRAS_SUBDIR = "${hydra.job.num}"


class Composer:
    """Composes the configs of one study's trials from Hydra's master config."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, space: Space) -> None:
        self.master = master
        self._loader, self._space = loader, space
        self._parser = OverridesParser.create(config_loader=loader)
        self._overrides: dict[str, Override] = {}
        self._option_configs: dict[tuple[str, ...], DictConfig] = {}
        self._templates: dict[tuple[str, ...], Template] = {}
        self._received: dict[tuple[str, ...], bytes] = {}
        self._groups: dict[str, bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Keep what was composed: another process of the same command need not compose it again."""
        arguments = (self._loader, self.master, self._space)
        return {"arguments": arguments, "received": self._composed_so_far()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Composer.__init__(self, *state["arguments"])
        self._received = state["received"]

    def _composed_so_far(self) -> dict[tuple[str, ...], bytes]:
        """Return the pickled configs of all options that were chosen so far.

        A config may have the types of the user's program. Another process has other objects in its
        `__main__`, so such a type goes along.
        """
        own: dict[tuple[str, ...], bytes] = {}
        for key, config in self._option_configs.items():
            with suppress(Exception):  # what cannot be pickled, Hydra composes there too
                own[key] = cloudpickle.dumps(config)
        return self._received | own

    def with_master(self, master: DictConfig) -> "Composer":
        """Return a composer for a changed master config, which knows what this one has composed."""
        composer = Composer(self._loader, master, self._space)
        composer._received = self._composed_so_far()
        return composer

    def without_configs(self) -> "Composer":
        """Return a composer that has composed nothing so far."""
        return Composer(self._loader, self.master, self._space)

    def is_group(self, key: str) -> bool:
        """Return whether `key`, without its prefix and package, is a config group."""
        group = bare_key(key).partition("@")[0]
        if group not in self._groups:
            self._groups[group] = self._configs.group_exists(group)
        return self._groups[group]

    @cached_property
    def _configs(self) -> ConfigRepository:
        """All configs that Hydra can load. Its loader leaves out those on `hydra.searchpath`."""
        path = ConfigSearchPathImpl()
        for source in self.master.hydra.runtime.config_sources:
            path.append(source.provider, f"{source.schema}://{source.path}")
        return ConfigRepository(path)

    def option_config(self, params: Mapping[str, Value]) -> DictConfig:
        """Return the config with the options that `params` choose, without their plain values.

        The config is cached; do not change it, and resolve nothing in it: OmegaConf keeps the
        results of some resolvers, which would then be the same in all trials.
        """
        key = self._option_key(params)
        if key not in self._option_configs:
            self._option_configs[key] = self._composed(key)
        config = self._option_configs[key]
        while len(self._option_configs) > MAX_CACHED_CONFIGS:
            oldest = next(iter(self._option_configs))
            del self._option_configs[oldest]
            self._templates.pop(oldest, None)
        return config

    def _composed(self, key: tuple[str, ...]) -> DictConfig:
        """Return the config of a choice of options, which another process may have composed."""
        if key not in self._received:
            return self._loader.load_sweep_config(self.master, list(key))
        config: DictConfig = pickle.loads(self._received[key])
        OmegaConf.copy_cache(from_config=self.master, to_config=config)  # as Hydra does
        with open_dict(config.hydra):  # each worker has its own share of the threads and GPUs
            config.hydra.job.env_set.update({k: os.environ[k] for k in config.hydra.job.env_copy})
        conceal_config(config)  # Hydra writes it to the trial's folder
        return config

    @cached_property
    def starts_study(self) -> bool:
        """Whether the config starts a study without --multirun, by its own `hydra.mode`."""
        typed: Any = OmegaConf.to_container(self.master.hydra.overrides.hydra, resolve=False)
        others = [line for line in typed if bare_key(line) != "hydra.mode"]
        try:
            config = self.master
            if others != typed:  # what was typed replaced what the config says
                lines: Any = OmegaConf.to_container(self.master.hydra.overrides.task, resolve=False)
                config = self._loader.load_configuration(
                    str(config.hydra.job.config_name), [*others, *lines], RunMode.MULTIRUN
                )
            return bool(config.hydra.mode == RunMode.MULTIRUN)
        except Exception:  # a file may have changed since
            return False

    def _option_key(self, params: Mapping[str, Value]) -> tuple[str, ...]:
        structural = {k: v for k, v in params.items() if self._is_structural(k)}
        return tuple(self.overrides(structural))

    def _template(self, params: Mapping[str, Value]) -> Template:
        key, config = self._option_key(params), self.option_config(params)
        if key not in self._templates:
            self._templates[key] = Template(config)
        return self._templates[key]

    def compose(self, params: Mapping[str, Value], number: int, folder: Path) -> DictConfig:
        """Return the config of trial `number`, equal to Hydra's own for the same overrides.

        Raises:
            HydraException: an override does not fit the config.
        """
        lines = self.overrides(params)
        config = self._composed_from_options(params)
        if config is None:
            config = self._loader.load_sweep_config(self.master, lines)
        _set_job(config, lines, self._parsed(lines), number, folder)
        return config

    def _parsed(self, lines: Iterable[str]) -> list[Override]:
        """Return parsed overrides; those of an earlier trial are not parsed again."""
        while len(self._overrides) > MAX_CACHED_OVERRIDES:
            del self._overrides[next(iter(self._overrides))]
        for line in lines:
            if line not in self._overrides:
                self._overrides[line] = self._parser.parse_override(line)
        return [self._overrides[line] for line in lines]

    def _composed_from_options(self, params: Mapping[str, Value]) -> DictConfig | None:
        """Return the config, or None if Hydra must compose it, or tell why it cannot."""
        pairs = [line.partition("=")[::2] for line in self.overrides(params)]
        # The override of a group with a mapping changes values, and chooses no option.
        if _overlap(k for k, text in pairs if text.startswith("{") or not self.is_group(k)):
            return None
        plain = [override_line(k, v) for k, v in params.items() if not self._is_structural(k)]
        try:
            config = self._template(params).copy()
            for override in self._parsed(plain):
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            return None
        return config

    def overrides(self, params: Mapping[str, Value]) -> list[str]:
        """Return the overrides of a trial, in the order of the command, and then any others.

        A parameter takes the place of a fixed override of the same key.
        """
        lines = {key: override_line(key, value) for key, value in params.items()}
        fixed = {key: line for key, line in self._space.fixed.items() if key not in lines}
        ordered = {
            key: lines.get(key) or fixed[key]
            for key in self._space.order
            if key in lines or key in fixed
        }
        return [*(ordered | lines | fixed).values()]

    def _is_structural(self, key: str) -> bool:
        """Return whether an override of `key` changes which files or keys the config has."""
        return key[0] in "+~" or "@" in key or self.is_group(key)


def _overlap(keys: Iterable[str]) -> bool:
    """Return whether one of the keys lies within another, so that their order matters."""
    paths = list(map(bare_key, keys))
    parents = {path[:i] for path in paths for i, c in enumerate(path) if c == "."}
    return len(set(paths)) < len(paths) or any(path in parents for path in paths)


def has_numbered_subdir(config: DictConfig) -> bool:
    """Return whether `hydra.sweep.subdir` is that of Hydra: the number of the job."""
    return bool(config.hydra.sweep._get_node("subdir")._value() == HYDRAS_SUBDIR)


def job_subdir(config: DictConfig) -> str:
    """Return the job's folder, relative to that of the sweep, from `hydra.sweep.subdir`."""
    if has_numbered_subdir(config):
        return str(config.hydra.job.num)  # to parse the interpolation takes 1 ms
    with as_hydra_config(config):
        return str(config.hydra.sweep.subdir)


def _set_job(
    config: DictConfig, lines: list[str], parsed: list[Override], number: int, folder: Path
) -> None:
    """Set the keys below `hydra` that describe a job."""
    with read_write(config), open_dict(config), read_write(config.hydra):
        config.hydra.overrides.task = lines
        # Hydra 1.4 derives it from the overrides when it is read.
        if not OmegaConf.is_interpolation(config.hydra.job, "override_dirname"):
            config.hydra.job.override_dirname = _override_dirname(config, parsed)
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
        config.hydra.sweep.dir = str(folder)


def _override_dirname(config: DictConfig, parsed: list[Override]) -> str:
    rule: Any = config.hydra.job.config.override_dirname
    lines = sorted(str(o.input_line) for o in parsed if o.key_or_group not in rule.exclude_keys)
    return str(rule.item_sep).join(lines).replace("=", str(rule.kv_sep))
