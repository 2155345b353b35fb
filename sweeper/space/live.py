"""The parameters of a trial, which depend on the options that the trial has chosen.

An option's config may have a `search` block, which maps keys of the option to sweeps. Only trials
that chose the option have these parameters.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from sweeper.cli.overrides import bare_key, override_text, values_below
from sweeper.cli.sweeps import sweep_advice
from sweeper.errors import ConfigError
from sweeper.space.compose import Composer
from sweeper.space.defaults import default_value
from sweeper.space.space import Parameter, Space, Value, parse_space

SEARCH_BLOCK = "search"
MAX_PROBES = 100  # Inner values of one parameter that are checked; a range may list thousands.
Params = dict[str, Value]


class LiveSpace:
    """A search space together with the `search` blocks of the options that a trial chooses.

    The methods take and return values by config key unless they say "by Optuna's names".
    """

    def __init__(self, space: Space, composer: Composer) -> None:
        self.space, self.composer = space, composer
        self._blocks: dict[tuple[tuple[str, Value], ...], dict[str, Parameter]] = {}

    @cached_property
    def group_parameters(self) -> list[Parameter]:
        """The swept parameters that choose the option of a config group."""
        return [p for p in self.space.parameters.values() if self.composer.is_group(p.key)]

    def parameters(self, params: Mapping[str, Value]) -> dict[str, Parameter]:
        """Return a trial's parameters by key, given those of its values that are known.

        The parameters of `search` blocks are included once every swept group has its option.
        """
        parameters = dict(self.space.parameters)
        if self.space.auto and all(g.key in params for g in self.group_parameters):
            for key, parameter in self._block(params).items():
                parameters[key] = replace(parameter, name=self._name(key, params))
        return parameters

    def defaults(self, params: Mapping[str, Value]) -> Params:
        """Return the values that the config has for the parameters of a trial, as stored.

        A parameter without a value has none here: its value is missing, cannot be resolved yet, or
        is of a type that no override can give.
        """
        config = copy.deepcopy(self.composer.option_config(params))
        defaults = {p.key: default_value(config, p) for p in self.parameters(params).values()}
        return {key: value for key, value in defaults.items() if value is not None}

    def by_key(self, by_name: Mapping[str, Any]) -> Params:
        """Return values by key, given those that Optuna stores by name."""
        params: Params = {}
        while True:
            parameters = self.parameters(params).values()
            new = {
                p.key: p.exact(by_name[p.name])
                for p in parameters
                if p.name in by_name and p.key not in params
            }
            if not new:
                names = {p.name for p in parameters}
                return params | {k: v for k, v in by_name.items() if k not in names}
            params |= new

    def option_choices(self) -> Iterator[Params]:
        """Yield choices of one option for each swept group; together they have every option."""
        firsts = {p.key: p.ends[0] for p in self.group_parameters}
        yield firsts
        for group in self.group_parameters:
            yield from (firsts | {group.key: v} for v in (group.values or ())[1:])

    def extreme_point(self, options: Params, last: bool) -> Params:
        """Return a point with these options and the first or last value of every parameter."""
        point = dict(options)
        for parameter in self.parameters(options).values():
            point.setdefault(parameter.key, parameter.ends[last])
        return point

    def probes(self, options: Params) -> Iterator[Params]:
        """Yield points with these options that together contain the values of every parameter.

        For an interval, its ends are used, and a fraction if they are whole. For a list, its ends
        and up to `MAX_PROBES` values between them are used.
        """
        first = self.extreme_point(options, last=False)
        yield first
        yield self.extreme_point(options, last=True)
        for parameter in self.parameters(options).values():
            if parameter.key not in options:
                inner = (parameter.values or ())[1:-1][:MAX_PROBES]
                for value in inner if parameter.fraction is None else (parameter.fraction,):
                    yield first | {parameter.key: value}

    def first_point(self) -> Params:
        """Return the first point of the space."""
        return self.extreme_point(next(self.option_choices()), last=False)

    def describe(self) -> dict[str, Any]:
        """Return the distributions of all options as JSON, by Optuna's names."""
        distributions: dict[str, Any] = {}
        for options in self.option_choices():
            for p in self.parameters(options).values():
                distributions[p.name] = distribution_to_json(p.distribution)
        return distributions

    def _name(self, key: str, params: Mapping[str, Value]) -> str:
        """Return Optuna's name for a key of a `search` block.

        Optuna requires one distribution for each name. If two options search the same key
        differently, such as two models their kernel sizes, the option becomes part of the name:
        `model.kernel_size@lenet`.
        """
        if key not in self._ambiguous_keys:
            return key
        owners = [g for g in self.group_parameters if key.startswith(_config_path(g.key) + ".")]
        return key + "@" + ",".join(str(params[g.key]) for g in owners or self.group_parameters)

    @cached_property
    def _ambiguous_keys(self) -> set[str]:
        """Keys that have different distributions in the `search` blocks of different options."""
        distributions: dict[str, BaseDistribution] = {}
        ambiguous = set()
        for options in self.option_choices():
            for key, parameter in self._block(options).items():
                first = distributions.setdefault(key, parameter.distribution)
                if first != parameter.distribution:
                    ambiguous.add(key)
        return ambiguous

    def _block(self, params: Mapping[str, Value]) -> dict[str, Parameter]:
        """Return the parameters of the chosen options' `search` blocks by key."""
        options = {k: v for k, v in params.items() if self.composer.is_group(k)}
        cache_key = tuple(options.items())
        if cache_key not in self._blocks:
            config = copy.deepcopy(self.composer.option_config(options))
            lines = [line for line in block_lines(config) if not self._has_override(line)]
            block = parse_space(lines)
            for line in block.fixed.values():
                raise ConfigError(f"search block: {_no_sweep(line)}")
            self._blocks[cache_key] = dict(block.parameters)
        return self._blocks[cache_key]

    def _has_override(self, line: str) -> bool:
        return self.space.has_override(bare_key(line))


def suggest(trial: optuna.Trial, live: LiveSpace) -> Params:
    """Return the trial's values by key.

    Optuna returns the fixed value of an enqueued point or grid point, the stored value if an
    earlier attempt at the trial has sampled it, and a sampled one otherwise.
    """
    params: Params = {}
    while True:
        missing = [p for p in live.parameters(params).values() if p.key not in params]
        if not missing:
            return params
        params |= {p.key: _suggest_value(trial, p) for p in missing}


def _suggest_value(trial: optuna.Trial, parameter: Parameter) -> Value:
    name, d = parameter.name, parameter.distribution
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    if isinstance(d, FloatDistribution):
        return parameter.exact(trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log))
    assert isinstance(d, CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)


def config_key(name: str) -> str:
    """Return the config key of a parameter, given Optuna's name for it.

    The `@` of `model.kernel_size@lenet` separates the option. That of `db@src`, the key of a group,
    belongs to the key: only groups have an `@`, and it follows no dot.
    """
    key, _, _ = name.partition("@")
    return key if "." in key else name


def _config_path(group: str) -> str:
    return bare_key(group).partition("@")[0].replace("/", ".")


def _no_sweep(line: str) -> str:
    """Return what is wrong with a value of a `search` block, and what to type."""
    value = line.partition("=")[2]
    if value.startswith("["):
        return f'{line}: is one value; type "choice({value[1:-1]})" to search the values in it'
    hint = "type a sweep, such as choice(1,2) or interval(0.1,1), or null"
    return sweep_advice(line, is_multirun=True) or f"{line}: is one value; {hint}"


def block_lines(config: DictConfig) -> Iterator[str]:
    """Yield the overrides in the config's `search` blocks, with absolute keys.

    A key with null is not searched.

    Raises:
        ConfigError: a `search` block is not a mapping.
    """
    for path, node in _search_blocks(config, ""):
        yield from _lines_of(path, node)


def block_keys(config: DictConfig, auto: bool) -> set[str]:
    """Return the keys of the config's `search` blocks, as `model.search`.

    Without `auto` no trial takes its parameters from them. A node with other values than sweeps and
    null is then no block: an application may have settings of this name.
    """
    if not auto:
        config = copy.deepcopy(config)  # it is resolved
    return {
        f"{path}.{SEARCH_BLOCK}"
        for path, node in _search_blocks(config, "")
        if auto or _has_sweeps_alone(path, node)
    }


def _has_sweeps_alone(path: str, node: DictConfig) -> bool:
    try:
        overrides = OverridesParser.create().parse_overrides([*_lines_of(path, node)])
    except Exception:  # nobody has promised that its texts are overrides, or can be resolved
        return False
    return all(override.is_sweep_override() for override in overrides)


def _lines_of(path: str, node: DictConfig) -> Iterator[str]:
    """Yield the overrides in the `search` block of the config node `path`."""
    block: Any = OmegaConf.to_container(node, resolve=True)
    if not isinstance(block, dict):
        raise ConfigError(
            f"{path}.{SEARCH_BLOCK}={block!r}: must map keys to sweeps, "
            "such as {lr: 'interval(0.001, 0.1)'}"
        )
    for key, sweep in values_below(block, f"{path}."):
        if sweep is not None:
            yield f"{key}={sweep if isinstance(sweep, str) else override_text(sweep)}"


def _search_blocks(config: DictConfig, path: str) -> Iterator[tuple[str, DictConfig]]:
    for key in config:
        if (not path and key in ("hydra", SEARCH_BLOCK)) or OmegaConf.is_missing(config, key):
            continue
        node = config._get_node(key)
        if not isinstance(node, DictConfig) or node._is_none() or node._is_interpolation():
            continue
        if key == SEARCH_BLOCK:
            yield path, node
        else:
            yield from _search_blocks(node, f"{path}.{key!s}" if path else str(key))
