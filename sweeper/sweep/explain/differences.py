"""What differs between the default config and the winner of a study.

An option of a group may have keys of its own, and other defaults. The winner's values of these keys
belong to that option, and change together with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.cli.overrides import bare_key, override_text
from sweeper.sweep.command import StudyCommand
from sweeper.sweep.explain.defaults_of import default_config, default_options

_ABSENT = object()

Texts = Mapping[str, str]
"""Values by config key, in Hydra's override grammar."""


@dataclass(frozen=True)
class Difference:
    """A key whose value the winner has changed, and the keys that change together with it.

    Args:
        key: Config key.
        default: Its default, in Hydra's override grammar.
        winner: The winner's value.
        companions: Default and winner's value of each key that changes together with it. The
            default is None if the default config lacks the key.
    """

    key: str
    default: str
    winner: str
    companions: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)

    @property
    def values(self) -> Mapping[str, tuple[str | None, str]]:
        """Default and winner's value of the key and of those that change together with it."""
        return {self.key: (self.default, self.winner), **self.companions}


@dataclass(frozen=True)
class Differences:
    """All that differs between the default config and a winner.

    Args:
        config: The default config.
        found: The differences, in the order of the winner's values.
        shared: The winner's values that all points between the two have.
        from_start: Those of them that are options of groups without a default option.
    """

    config: DictConfig
    found: Sequence[Difference]
    shared: Texts
    from_start: Texts

    def are_defaults(self, values: Texts) -> bool:
        """Return whether the default config has these values."""
        return all(same(_text(self.config, key), text) for key, text in values.items())


def differences(command: StudyCommand, fixed: Sequence[str], winner: Texts) -> Differences:
    """Return what differs between the default config of a study and its winner.

    `fixed` are overrides that both have.

    Raises:
        ConfigError: a config cannot be composed.
    """
    config = default_config(command, fixed)
    groups = [key for key in winner if _is_group(config, key)]
    plain = [key for key in winner if key not in groups]
    options = default_options(command, fixed) if groups else {}
    defaults = {key: options.get(bare_key(key)) for key in groups}
    changed = [k for k in groups if (d := defaults[k]) and not same(d, winner[k])]
    dependent = {key for key in groups if bare_key(key) not in options}
    overrides, owners = _overrides_by_group(command, fixed, winner, changed, dependent)

    from_start = {k: winner[k] for k in groups if defaults[k] is None and k not in owners}
    start = _lines(winner, from_start)
    config = default_config(command, [*fixed, *start]) if start else config
    steps = {group: default_config(command, [*ls, *start]) for group, ls in overrides.items()}
    owners |= _owners(config, steps, plain)

    defaults |= {key: _default(config, key, key in owners) for key in plain}
    changes = {
        key: (default, text)
        for key, text in winner.items()
        if key not in from_start and ((default := defaults[key]) is None or not same(default, text))
    }
    shared = {key: text for key, text in winner.items() if key not in changes}
    return Differences(config, _found(changes, owners), shared, from_start)


def _owners(
    config: DictConfig, steps: Mapping[str, DictConfig], keys: Sequence[str]
) -> dict[str, str]:
    """Return the group that changed the value of a key last, for each key with such a group.

    `steps` are the configs after each group was changed, one after the other.
    """
    owners, before = dict[str, str](), config
    for group, after in steps.items():
        owners |= {key: group for key in keys if _value(after, key) != _value(before, key)}
        before = after
    return owners


def _default(config: DictConfig, key: str, has_owner: bool) -> str | None:
    """Return the default of a key; None if only an option of the winner has the key."""
    is_lacking = has_owner and _value(config, key) is _ABSENT
    return None if is_lacking else _text(config, key)


def _found(
    changes: Mapping[str, tuple[str | None, str]], owners: Mapping[str, str]
) -> list[Difference]:
    """Return the differences, each with the changes of the keys that it owns."""
    return [
        Difference(key, default, text, {k: c for k, c in changes.items() if owners.get(k) == key})
        for key, (default, text) in changes.items()
        if key not in owners and default is not None
    ]


def _overrides_by_group(
    command: StudyCommand,
    fixed: Sequence[str],
    winner: Texts,
    changed: Iterable[str],
    dependent: set[str],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the overrides that change the groups one after the other, and owners of groups.

    A `dependent` group that only an option of another group has, as model=blocks has model/block,
    is owned by that group, and is changed together with it.
    """
    overrides, owners = dict[str, list[str]](), dict[str, str]()
    lines = [*fixed]
    for group in changed:
        lines += _lines(winner, [group])
        options = default_options(command, lines) if dependent else {}
        new = [k for k in winner if k in dependent - owners.keys() and bare_key(k) in options]
        owners |= dict.fromkeys(new, group)
        lines += _lines(winner, new)
        overrides[group] = [*lines]
    return overrides, owners


def same(one: str, other: str) -> bool:
    """Return whether two values in Hydra's override grammar are equal, such as 1 and 1.0."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _lines(values: Texts, keys: Iterable[str]) -> list[str]:
    return [f"{key}={values[key]}" for key in keys]


def _is_group(config: DictConfig, key: str) -> bool:
    return "/" in key or "@" in key or isinstance(_value(config, key), dict)


def _text(config: DictConfig, key: str) -> str:
    value = _value(config, key)
    return override_text(None if value is _ABSENT else value)


def _value(config: DictConfig, key: str) -> Any:
    value = OmegaConf.select(config, bare_key(key), default=_ABSENT)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
