"""The value that a composed config has for a parameter, in the form in which Optuna stores it."""

import copy
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.distributions import CategoricalDistribution

from sweeper.cli.overrides import bare_key
from sweeper.space.space import Parameter, Value

_NONE_YET = object()


def default_value(config: DictConfig, parameter: Parameter) -> Value:
    """Return the config's value for a parameter, or None if there is no usable one.

    For a choice it is the listed value that leaves the config as it is. The config is not changed,
    but interpolations in it are resolved.
    """
    key = bare_key(parameter.key)
    groups = config.hydra.runtime.choices
    value = _plain(groups.get(key)) if key in groups else selected(config, key)
    if value is _NONE_YET:
        return None
    stored = parameter.stored(value)
    choices = parameter.values or ()
    is_choice = isinstance(parameter.distribution, CategoricalDistribution)
    if not is_choice or key in groups or _is_in(choices, stored):
        return stored
    # A typed field converts what it is given: `lr=1,10` lists the default 1.0 of `lr: float`.
    own = _without_hydra(config)
    return next((c for c in choices if _same(_after(own, key, c), value)), stored)


def selected(config: DictConfig, key: str) -> Any:
    """Return the resolved plain value of a key, or a marker if it has none."""
    try:
        return _plain(OmegaConf.select(config, key, default=_NONE_YET))
    except Exception:  # a resolver may raise anything, for instance because no job runs yet
        return _NONE_YET


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _after(config: DictConfig, key: str, choice: Value) -> Any:
    """Return the value of a key after an override with this choice; a marker if it is refused."""
    (override,) = OverridesParser.create().parse_overrides([f"_={choice}"])
    changed = copy.deepcopy(config)
    try:
        OmegaConf.update(changed, key, override.value(), merge=True)
    except Exception:  # a field refuses the value
        return _NONE_YET
    return selected(changed, key)


def _without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of the application's own part of a config."""
    own = copy.deepcopy(config)
    with read_write(own), open_dict(own):
        del own["hydra"]
    return own


def _is_in(choices: tuple[Value, ...], value: Value) -> bool:
    return any(_same(choice, value) for choice in choices)


def _same(one: Any, other: Any) -> bool:
    """Return whether two plain values are equal and of the same types, also inside of them."""
    return repr(one) == repr(other)
