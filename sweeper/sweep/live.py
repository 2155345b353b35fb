"""Which parameters matter, given the options chosen so far: spaces that come from composition."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from sweeper.errors import ConfigError
from sweeper.sweep.compose import Composer
from sweeper.sweep.space import Parameter, Space, Value, parse_space, stored

SEARCH_BLOCK = "search"
MAX_PROBES = 100  # Of one parameter's values: a range may list thousands.
Params = dict[str, Value]


class LiveSpace:
    """A space with the `search` blocks of the options that a trial chooses."""

    def __init__(self, space: Space, composer: Composer) -> None:
        self.space, self.composer = space, composer
        self._blocks: dict[tuple[tuple[str, Value], ...], dict[str, Parameter]] = {}

    @cached_property
    def groups(self) -> list[Parameter]:
        """The swept parameters that choose a config group's option."""
        named = self.space.parameters.values()
        return [p for p in named if self.composer.is_group(p.key)]

    def parameters(self, params: Mapping[str, Value]) -> dict[str, Parameter]:
        """Return the named parameters and, once the options are chosen, those of their blocks."""
        live = dict(self.space.parameters)
        if self.space.auto and all(g.key in params for g in self.groups):
            for key, parameter in self._block(params).items():
                live[key] = replace(parameter, name=self._name(key, params))
        return live

    def defaults(self, params: Mapping[str, Value]) -> Params:
        """Return the values that the composed config itself gives its live parameters."""
        config = self.composer.base(params)
        return {p.key: _default(config, p) for p in self.parameters(params).values()}

    def by_key(self, named: Mapping[str, Any]) -> Params:
        """Return a trial's stored parameters under the keys that they override."""
        params: Params = {}
        while True:
            found = self.parameters(params).values()
            new = {p.key: named[p.name] for p in found if p.name in named and p.key not in params}
            if not new:
                known = {p.name for p in found}
                return params | {k: v for k, v in named.items() if k not in known}
            params |= new

    def choices(self) -> Iterator[Params]:
        """Yield choices of the swept groups; every option of each appears at least once."""
        firsts = {p.key: p.ends[0] for p in self.groups}
        yield firsts
        for group in self.groups:
            yield from (firsts | {group.key: v} for v in (group.values or ())[1:])

    def extreme_point(self, chosen: Params, last: bool) -> Params:
        """Return a point with these options and the first or last value of all else."""
        point = dict(chosen)
        for parameter in self.parameters(chosen).values():
            point.setdefault(parameter.key, parameter.ends[last])
        return point

    def probes(self, chosen: Params) -> Iterator[Params]:
        """Yield points with these options: both ends, then every listed value once."""
        first = self.extreme_point(chosen, last=False)
        yield first
        yield self.extreme_point(chosen, last=True)
        for parameter in self.parameters(chosen).values():
            if parameter.key not in chosen:
                for value in (parameter.values or ())[1:-1][:MAX_PROBES]:
                    yield first | {parameter.key: value}

    def first_point(self) -> Params:
        """Return one point of the space."""
        return self.extreme_point(next(self.choices()), last=False)

    def describe(self) -> dict[str, Any]:
        """Return every distribution that a trial may sample, as JSON, whatever it chooses."""
        found: dict[str, Any] = {}
        for chosen in self.choices():
            for p in self.parameters(chosen).values():
                found[p.name] = distribution_to_json(p.distribution)
        return found

    def _name(self, key: str, params: Mapping[str, Value]) -> str:
        """Return the name under which Optuna knows a block's key.

        Optuna wants one distribution a name. A key that two options search differently, such as
        each model's own kernel sizes, is told apart by the option: `model.kernel_size@lenet`.
        """
        if key not in self._clashing:
            return key
        inside = [g for g in self.groups if key.startswith(_node(g.key) + ".")]
        return key + "@" + ",".join(str(params[g.key]) for g in inside or self.groups)

    @cached_property
    def _clashing(self) -> set[str]:
        seen: dict[str, BaseDistribution] = {}
        clashing = set()
        for chosen in self.choices():
            for key, parameter in self._block(chosen).items():
                if seen.setdefault(key, parameter.distribution) != parameter.distribution:
                    clashing.add(key)
        return clashing

    def _block(self, params: Mapping[str, Value]) -> dict[str, Parameter]:
        chosen = {k: v for k, v in params.items() if self.composer.is_group(k)}
        key = tuple(chosen.items())
        if key not in self._blocks:
            base = self.composer.base(chosen)
            lines = [line for line in block_lines(base) if not self._is_named(line)]
            self._blocks[key] = dict(parse_space(lines).parameters)
        return self._blocks[key]

    def _is_named(self, line: str) -> bool:
        return self.space.names(line.partition("=")[0])


def suggest(trial: optuna.Trial, live: LiveSpace) -> Params:
    """Return the trial's parameters by the keys that they override.

    Optuna gives a preset value where the trial has one, the stored one where the trial was cut
    short after it had been sampled, and asks the sampler otherwise.
    """
    params: Params = {}
    while True:
        missing = [p for p in live.parameters(params).values() if p.key not in params]
        if not missing:
            return params
        params |= {p.key: _suggest_one(trial, p) for p in missing}


def _suggest_one(trial: optuna.Trial, parameter: Parameter) -> Value:
    name, d = parameter.name, parameter.distribution
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    if isinstance(d, FloatDistribution):
        return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
    assert isinstance(d, CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)


def _node(group: str) -> str:
    return group.lstrip("+~").partition("@")[0].replace("/", ".")


def block_lines(config: DictConfig) -> Iterator[str]:
    """Yield the overrides that the config's `search` blocks stand for, keys made absolute.

    Raises ConfigError for a block that is not a mapping of sweeps.
    """
    for path, node in _nodes(config, ""):
        block = OmegaConf.to_container(node, resolve=True)
        if not isinstance(block, dict):
            raise ConfigError(f"{path}.{SEARCH_BLOCK} must map keys to sweeps, got {block!r}")
        yield from (f"{path}.{key!s}={sweep}" for key, sweep in block.items())


def _nodes(config: DictConfig, path: str) -> Iterator[tuple[str, DictConfig]]:
    for key in config:
        if (not path and key in ("hydra", SEARCH_BLOCK)) or OmegaConf.is_missing(config, key):
            continue
        node = config._get_node(key)
        if not isinstance(node, DictConfig) or node._is_none() or node._is_interpolation():
            continue
        if key == SEARCH_BLOCK:
            yield path, node
        else:
            yield from _nodes(node, f"{path}.{key!s}" if path else str(key))


def _default(config: DictConfig, parameter: Parameter) -> Value:
    """Return what the config has at a parameter's key, as the parameter would store it."""
    key = parameter.key.lstrip("+~")
    choices = config.hydra.runtime.choices
    value = choices.get(key) if key in choices else OmegaConf.select(config, key)
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    return stored(value)
