"""What two commands must share to run the same study, and the difference if they do not."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)

from sweeper.cli.overrides import bare_key, override_text
from sweeper.secrets import masked_uri
from sweeper.space.live import SEARCH_BLOCK, LiveSpace, block_keys, config_key
from sweeper.sweep.settings.study_settings import StudySettings
from sweeper.text import in_one_line, shortened

CONFIG, OVERRIDE, SPACE, STEERING = "config ", "override ", "space ", "steering"
GROWING = "growing"
METRIC = f"{CONFIG}hydra.sweeper.metric"
FULL_GRID = "every point of the space"
NOT_GROWING = ", which hydra.sweeper.growing did not name when the study was started"
MAX_SHOWN = 5
MAX_VALUE_LENGTH = 60


@dataclass(frozen=True)
class StudyIdentity:
    """The settings that two commands must share to run the same study. All of it is JSON.

    Args:
        space: Distributions by Optuna's names.
        directions: `minimize` or `maximize` for each objective.
        fixed: Overrides that have a single value.
        options: Chosen option of each config group that is not swept, the data set among them.
        settings: Keys of `hydra.sweeper` that change the results of trials.
        values: Values of the default config that are neither swept nor steer, as text. They are no
            part of the hash, so that a study is refused, and not forgotten, after a file changed.
        steering: Config keys that are left out, with all below them.
        growing: Config keys whose number a later command may raise.
    """

    space: Mapping[str, Any]
    directions: tuple[str, ...]
    fixed: tuple[str, ...]
    options: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    steering: Sequence[str] = ()
    growing: Sequence[str] = ()

    def record(self) -> dict[str, Any]:
        """Return all of it as a flat mapping, to store, compare and show."""
        values = {f"{CONFIG}{key}": value for key, value in self.values.items()}
        lists = {STEERING: list(self.steering), GROWING: list(self.growing)}
        return self._lines() | values | lists

    def short_hash(self) -> str:
        """Return a hash of what the command says, with eight hexadecimal digits."""
        text = json.dumps(self._lines(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _lines(self) -> dict[str, Any]:
        lines = {f"{SPACE}{k}": _by_value(v) for k, v in self.space.items()}
        lines |= {f"option {k}": v for k, v in self.options.items()}
        lines |= {f"{OVERRIDE}{o.partition('=')[0]}": _typed(o) for o in self.fixed}
        lines |= {f"hydra.sweeper.{k}": v for k, v in self.settings.items()}
        return lines | {"direction": ", ".join(self.directions)}


def difference(stored: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs between the records of two identities, or an empty text.

    Keys that steer in one of them are not compared, nor those that may grow and have grown.
    """
    grown = [key for key in new.get(GROWING, ()) if _has_grown(key, stored, new)]
    shared = common_growing(stored, new)
    steering = [*stored.get(STEERING, ()), *new.get(STEERING, ())]
    steering += [key for key in grown if key in shared]
    olds, news = (_comparable(record, steering) for record in (stored, new))
    lines = [
        f"{_change(key, olds.get(key), news.get(key))}"
        f"{NOT_GROWING if key.partition(' ')[2] in grown else ''}"
        for key in _changed_keys(olds, news)
    ]
    more = [f"and {len(lines) - MAX_SHOWN} more"] if len(lines) > MAX_SHOWN else []
    return "; ".join(lines[:MAX_SHOWN] + more)


def _changed_keys(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, first what a command says, then what files say.

    A value in a file is left out if an override of it, or of what it lies below, differs.
    """
    differing = [k for k in sorted({*olds, *news}) if olds.get(k) != news.get(k)]
    changed = [k for k in differing if _are_comparable(k, olds, news)]
    typed = [k for k in changed if not k.startswith(CONFIG)]
    overridden = [bare_key(k.removeprefix(OVERRIDE)) for k in typed if k.startswith(OVERRIDE)]
    in_files = [k for k in changed if k.startswith(CONFIG)]
    return typed + [k for k in in_files if not steers(k.removeprefix(CONFIG), overridden)]


def _are_comparable(key: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Return whether both records would have a key."""
    if key == METRIC:  # the objectives of a list need no names
        return key in olds and key in news
    # An earlier version did not record the values of the config.
    return not key.startswith(CONFIG) or any(each.startswith(CONFIG) for each in olds)


def record_of_others(
    identity: StudyIdentity, searched: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Return the record of a study that another program created, as far as it is known.

    What is not known is as in `identity`, and so is an interval with other ends: Optuna takes both.

    searched: the distributions that its trials have, by Optuna's names. A parameter that this study
        does not search gives its trials a config that no command of this study has.
    """
    record = identity.record()
    space = {name: _parsed(text) for name, text in identity.space.items()}
    keys = {config_key(name) for name in space}
    is_open = identity.settings.get("custom_search_space") is not None
    unknown = {name for name in searched if not is_open and config_key(name) not in keys}
    missing = space.keys() - searched.keys() if unknown else set()
    clashing = {n for n, d in searched.items() if n in space and not _are_compatible(d, space[n])}
    of_others = {
        f"{SPACE}{in_one_line(n)}": distribution_to_json(searched[n]) for n in unknown | clashing
    }
    left_out = {f"{SPACE}{name}" for name in missing}
    return {k: v for k, v in record.items() if k not in left_out} | of_others


def _are_compatible(old: BaseDistribution, new: BaseDistribution | None) -> bool:
    """Return whether a storage takes both distributions under the same name."""
    if new is None:
        return True
    try:
        check_distribution_compatibility(old, new)
    except ValueError:
        return False
    return True


def common_growing(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys whose number may grow under both records.

    Trials record the numbers of such keys alone. If an earlier command did not name a key, nobody
    knows the number that its trials had.
    """
    return [key for key in new.get(GROWING, ()) if key in stored.get(GROWING, ())]


def _comparable(record: Mapping[str, Any], steering: Sequence[str]) -> dict[str, Any]:
    """Return a record without the keys that steer.

    One of an earlier version may have passwords, and values as they were typed.
    """
    texts = {
        k: _typed(v) if k.startswith(OVERRIDE) else _by_value(v) if k.startswith(SPACE) else v
        for k, v in record.items()
    }
    return {
        key: masked_uri(value) if isinstance(value, str) else value
        for key, value in texts.items()
        if key not in (STEERING, GROWING) and not steers(key.partition(" ")[2] or key, steering)
    }


def _typed(line: str) -> str:
    """Return an override with the one text of its value, such as x=10 for x=1e1 and x=10.0."""
    key, equals, _ = line.partition("=")
    try:
        override = OverridesParser.create().parse_override(line)
    except HydraException:  # it is no override, as `FULL_GRID`
        return line
    if not equals or override.is_sweep_override():
        return line
    return f"{key}={override_text(_whole(override.value()))}"


def _by_value(distribution: Any) -> Any:
    """Return a distribution, stored as JSON, with 10 for the choices 1e1 and 10.0.

    Optuna takes the two for the same choice.
    """
    d = _parsed(distribution)
    if not isinstance(d, CategoricalDistribution):
        return distribution
    return distribution_to_json(CategoricalDistribution([*map(_whole, d.choices)]))


def _parsed(distribution: Any) -> BaseDistribution | None:
    try:
        return json_to_distribution(distribution)
    except (KeyError, TypeError, ValueError):  # of a storage that others may write
        return None


def _whole(value: Any) -> Any:
    """Return a value whose numbers are integers where they are whole."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _has_grown(key: str, stored: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a config key has a number in both records, in the new one a higher one."""
    old_text, new_text = (_value_of(key, record) for record in (stored, new))
    are_numbers = _is_number(old_text) and _is_number(new_text)
    return are_numbers and float(new_text) > float(old_text)


def _value_of(key: str, record: Mapping[str, Any]) -> str:
    """Return the value of a config key, which was typed or is in a file; empty if it is neither."""
    typed = record.get(f"{OVERRIDE}{key}")
    return str(record.get(f"{CONFIG}{key}", "")) if typed is None else str(typed).partition("=")[2]


def _change(key: str, old: Any, new: Any) -> str:
    if key == OVERRIDE + FULL_GRID:
        kinds = ("sampled", FULL_GRID) if old is None else (FULL_GRID, "sampled")
        return f"trials: {' -> '.join(kinds)} (n_trials and the sampler decide)"
    old, new = (_space_text(each) if key.startswith(SPACE) else each for each in (old, new))
    texts = _short(old), _short(new)
    if texts[0] == texts[1]:
        texts = str(old), str(new)
    return f"{key.removeprefix(CONFIG)}: {' -> '.join(texts)}"


def _space_text(distribution: Any) -> Any:
    """Return a distribution, stored as JSON, as a user would type it."""
    d = _parsed(distribution)
    if d is None:
        return distribution
    if isinstance(d, CategoricalDistribution):
        return ",".join(map(str, d.choices))
    assert isinstance(d, IntDistribution | FloatDistribution)
    step = f", step {d.step}" if d.step not in (None, 1) else ""
    text = f"interval({d.low}, {d.high}{step})"
    text = f"int({text})" if isinstance(d, IntDistribution) else text
    return f"tag(log, {text})" if d.log else text


def _short(value: Any) -> str:
    return "none" if value is None else shortened(str(value), MAX_VALUE_LENGTH)


def steers(key: str, steering: Sequence[str]) -> bool:
    """Return whether a config key, or an override of it, is one of `steering` or lies below one."""
    path = bare_key(key).partition("@")[0].replace("/", ".")
    return any(path == each or path.startswith(f"{each}.") for each in steering)


def study_identity(settings: StudySettings, live: LiveSpace, is_grid: bool) -> StudyIdentity:
    """Return the identity of the study with these settings and this space."""
    fixed = live.space.fixed.items()
    # A grid counts its points, not its trials, so a sampled study cannot continue a grid.
    mode = (FULL_GRID,) if is_grid else ()
    names = settings.objectives.names
    metric = {METRIC.removeprefix(CONFIG): ", ".join(names)} if names else {}
    return StudyIdentity(
        space=live.describe(),
        directions=settings.directions,
        fixed=(*(line for key, line in fixed if not steers(key, settings.steering)), *mode),
        options=_fixed_options(live, settings.steering),
        settings=settings.of_results,
        values=config_values(live, settings.steering) | metric,
        steering=settings.steering,
        growing=settings.growing,
    )


def _fixed_options(live: LiveSpace, steering: Sequence[str]) -> dict[str, Any]:
    """Return the chosen option of each config group that the study does not sweep."""
    swept = {bare_key(p.key) for p in live.group_parameters}
    choices = live.composer.option_config(live.first_point()).hydra.runtime.choices
    own = {str(k): v for k, v in choices.items() if not str(k).startswith("hydra/")}
    return {k: v for k, v in own.items() if k not in swept and not steers(k, steering)}


def config_values(live: LiveSpace, steering: Sequence[str]) -> dict[str, str]:
    """Return the values of the default config that trials share, as text.

    Left out are keys that are swept or overridden, lie below one of `steering`, or belong to Hydra,
    and the `search` blocks.
    A value that differs between the options of a swept group is listed for each option.
    """
    values: dict[str, str] = {}
    overridden = (bare_key(key) for key in live.space.fixed if not live.composer.is_group(key))
    left_out = [*steering, *overridden]
    for options in live.option_choices():
        keys = (p.key for p in live.parameters(options).values())
        swept = [bare_key(key) for key in keys if not live.composer.is_group(key)]
        config = live.composer.option_config(options)
        name = ",".join(f"{key}={value}" for key, value in options.items())
        blocks = block_keys(config, live.space.auto)
        for key, text in _leaves(config, "", blocks):
            value = masked_uri(text)  # two options may have different passwords
            if steers(key, [*left_out, *swept]):
                continue
            if values.setdefault(key, value) != value:
                values[f"{key} ({name})"] = value
    return values


def _leaves(config: DictConfig, path: str, blocks: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the values below `path` as texts, with interpolations as they are written.

    blocks: the keys of the `search` blocks, which are left out; so is an empty one, with null.
    """
    for key in config:
        place = f"{path}.{key!s}" if path else str(key)
        node: Any = config._get_node(key)
        is_empty = key == SEARCH_BLOCK and node._is_none()
        if is_empty or place in blocks or place == "hydra":
            continue
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_interpolation()):
            yield from _leaves(node, place, blocks)
        else:
            yield place, _text(node)


def _text(node: Any) -> str:
    if OmegaConf.is_config(node) and not node._is_interpolation() and not node._is_none():
        return str(OmegaConf.to_container(node, resolve=False))
    value = node._value()
    # A text that looks like another type is in quotes, so that they differ.
    return _quoted(value) if isinstance(value, str) else "null" if value is None else str(value)


def _quoted(text: str) -> str:
    is_other = text.lower() in ("", "null", "none", "~", "true", "false") or _is_number(text)
    return repr(text) if is_other else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
