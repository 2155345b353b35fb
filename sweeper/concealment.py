"""Configs and command lines without passwords, before Hydra writes them to files.

`secrets` says what takes the place of a password. These functions find the passwords: in a composed
config, in the overrides on the command line, and in the values of `hydra.sweeper`.
"""

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override

from sweeper.hydra_versions import COMPARES_SWEEPERS
from sweeper.interpolations import expanded, own_key, references, texts, value_node
from sweeper.secrets import (
    INTERPOLATION,
    MASK,
    VARIABLE,
    concealed,
    concealed_password,
    hide_arguments,
    is_secret_name,
    masked_uri,
    password_spans,
    passwords_of,
)

_QUOTED = r"'(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)'|\"(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)\""
_SEGMENT = re.compile(rf"{_QUOTED}|(?:{INTERPOLATION}|\\.|[^'\",()\[\]{{}}])+")
"""A text in a list, a mapping or a sweep of Hydra's override grammar, quoted or not."""


class ConcealPasswords(Callback):
    """Hydra callback that takes the passwords out of a run's config before it is written.

    For a multirun the plugin's sweeper does it.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        conceal_config(config)


class ConcealingLoader:
    """Hydra's config loader; the configs that it composes hold no password.

    A job composes its config from the files again, and a password may stand in one of them.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._own_config: DictConfig | None = None

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        return _without_passwords(self._loader.load_configuration(*args, **kwargs))

    def load_sweep_config(self, master_config: DictConfig, overrides: list[str]) -> DictConfig:
        if COMPARES_SWEEPERS:
            master_config = self._own_master(master_config, overrides)
        return _without_passwords(self._loader.load_sweep_config(master_config, overrides))

    def _own_master(self, master: DictConfig, overrides: list[str]) -> DictConfig:
        """Return the config of a sweep as the loader composes it, if it has passwords to take out.

        Hydra compares the sweeper and the launcher in it with those that it composes for a job.
        """
        nodes = texts(master.hydra, "hydra") if "hydra" in master else ()
        if not any(VARIABLE in node._value() for _, node in nodes):
            return master
        if self._own_config is None:
            name: Any = master.hydra.job.config_name
            typed: Any = OmegaConf.to_container(master.hydra.overrides.hydra)
            self._own_config = self._loader.load_configuration(
                name, [*typed, *overrides], RunMode.RUN
            )
            OmegaConf.copy_cache(from_config=master, to_config=self._own_config)
        return self._own_config

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_own_config": None}  # it has passwords

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self._loader, name)


def _without_passwords(config: DictConfig) -> DictConfig:
    conceal_config(config)
    return config


def conceal_config(config: DictConfig) -> None:
    """Replace the passwords in the URIs of a config, and in its overrides, by interpolations.

    The value that a URI refers to for its password is replaced as well, and so are passwords among
    the variables that Hydra sets for a job.
    """
    for key, node in list(texts(config, "")):
        text = node._value()
        is_override = key.startswith("hydra.overrides.")
        _set(node, concealed_override(text) if is_override else concealed(text, key))
        if not is_override:
            for part in _passwords_in(config, text, key):
                _conceal_referred(config, part, key)
    for name in filter(is_secret_name, _variables(config)):
        _conceal_value(config, f"hydra.job.env_set.{name}", ())
    _keep_out_of_folder_names(config)


def _variables(config: DictConfig) -> list[str]:
    """Return the names of the variables that Hydra sets for a job; it copies others to them."""
    found = OmegaConf.select(config, "hydra.job.env_set")
    return [str(name) for name in found] if isinstance(found, DictConfig) else []


def _conceal_referred(config: DictConfig, text: str, key: str, seen: Collection[str] = ()) -> None:
    """Replace the values to which `text`, at `key`, refers, also through other references."""
    for other in references(config, text, key):
        if other not in seen:
            _conceal_value(config, other, [*seen, other])


def _passwords_in(config: DictConfig, text: str, key: str) -> list[str]:
    """Return the parts of a text that are passwords, or refer to a user and password in one."""
    parts = [text[start:end] for start, end in password_spans(text)]
    if not parts and "://${" in text and passwords_of(expanded(config, text, key)):
        parts = re.findall(rf"://({INTERPOLATION})", text)
    return parts


def _conceal_value(config: DictConfig, key: str, seen: Collection[str]) -> None:
    """Replace a value that is a password, and the overrides that set it, in `sys.argv` too."""
    node = value_node(config, key)
    value = None if node is None else node._value()
    if node is None or value in (None, "", "???"):
        return
    own = own_key(node)  # the value may be found through a reference to a node above it
    _conceal_referred(config, str(value), own, seen)
    _set(node, concealed_password(str(value), own))

    def without_value(line: str) -> str:
        return _without_value(line, own)

    for override_key, line in texts(config, ""):
        if override_key.startswith("hydra.overrides."):
            _set(line, without_value(line._value()))
    _change_command_line(without_value, whole=True)


def _without_value(line: str, key: str) -> str:
    """Return an override with interpolations for what it sets at `key`, however it is typed."""
    name, equals, _ = line.partition("=")
    inside = f"{key}.".removeprefix(f"{name.lstrip('+~')}.")
    if not equals or inside == f"{key}.":
        return line
    try:
        override = OverridesParser.create().parse_override(line)
    except HydraException:
        return line
    typed = override._value
    override._value = _hidden_below(typed, inside.split(".")[:-1], key)
    return line if override._value == typed else f"{name}={override.get_value_element_as_str()}"


def _hidden_below(value: Any, path: Sequence[str], key: str) -> Any:
    """Return a parsed value of an override with a text with interpolations at the path in it."""
    if path and isinstance(value, dict):
        inside = {k: v for k, v in value.items() if str(k) == path[0]}
        return value | {k: _hidden_below(v, path[1:], key) for k, v in inside.items()}
    if path and isinstance(value, list):
        inside = dict(enumerate(value))
        return [*_hidden_below(inside, path, key).values()]
    if path or not isinstance(value, QuotedString | str | int | float):
        return value
    text = value.text if isinstance(value, QuotedString) else str(value)
    hidden = concealed_password(text, key)
    return value if hidden == text else QuotedString(hidden, Quote.single)


def _keep_out_of_folder_names(config: DictConfig) -> None:
    """Leave overrides with a password out of `hydra.job.override_dirname`."""
    if "hydra" not in config:
        return
    overrides: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    keys = {line: line.partition("=")[0].lstrip("+") for line in overrides}
    secret = {key for line, key in keys.items() if VARIABLE in line}
    if not secret:
        return
    rule = config.hydra.job.config.override_dirname
    excluded = {*rule.exclude_keys, *secret}
    shown = sorted(line for line, key in keys.items() if key not in excluded)
    with flag_override(config.hydra, "readonly", False):
        rule.exclude_keys = sorted(excluded)
        config.hydra.job.override_dirname = rule.item_sep.join(shown).replace("=", rule.kv_sep)


def masked(config: DictConfig, resolved: Any) -> dict[str, Any]:
    """Return the `resolved` values of a config with `***` in place of its passwords."""
    raw = OmegaConf.to_container(config, resolve=False)
    passwords = {value for name, value in os.environ.items() if name.startswith(VARIABLE)}
    for text in _strings(resolved):
        passwords |= passwords_of(text)
    return dict(masked_values(resolved, raw, passwords))


def masked_values(values: Any, raw: Any = None, passwords: Collection[str] = ()) -> Any:
    """Return plain values with `***` in place of the passwords in their URIs.

    `raw` holds the same values unresolved. Those that were looked up are masked if they are one of
    the passwords; a value that stands there in plain text may just be the same word.
    """
    if isinstance(values, dict):
        raws = raw if isinstance(raw, dict) else dict.fromkeys(values, raw)
        return {k: masked_values(value, raws.get(k), passwords) for k, value in values.items()}
    if isinstance(values, list):
        each_raw = raw if isinstance(raw, list) else [raw] * len(values)
        pairs = zip(values, each_raw, strict=True)
        return [masked_values(value, its_raw, passwords) for value, its_raw in pairs]
    if not isinstance(values, str):
        return values
    return MASK if values in passwords and "${" in str(raw) else masked_uri(values)


def concealed_values(values: Any, key: str, in_node: bool = False) -> Any:
    """Return values of `hydra.sweeper`, which are resolved, with interpolations for passwords.

    `in_node` is True for the values of a node, a mapping with a `_target_`.
    """
    if isinstance(values, dict):
        in_node = in_node or "_target_" in values
        return {k: concealed_values(value, f"{key}.{k}", in_node) for k, value in values.items()}
    if isinstance(values, list):
        return [concealed_values(value, f"{key}.{i}", in_node) for i, value in enumerate(values)]
    if not isinstance(values, str) or "://" not in values:
        return values
    if in_node or key.endswith(".storage"):
        return concealed(values, key, read=str)
    return _concealed_value(values, key)  # a value in the grammar of overrides


def conceal_command_line() -> None:
    """Replace the passwords in the overrides of `sys.argv`, and hide them from process lists."""
    _change_command_line(concealed_override)


def _change_command_line(change: Callable[[str], str], whole: bool = False) -> None:
    typed = sys.argv[1:]
    sys.argv[1:] = map(change, typed)
    changed = [t for t, now in zip(typed, sys.argv[1:], strict=True) if t != now]
    hide_arguments(changed, whole)


def concealed_override(line: str) -> str:
    """Return an override with interpolations in place of the passwords in it.

    A value that is one text is then quoted in one way, however it was quoted before.
    """
    key, equals, value = line.partition("=")
    if not equals or "://" not in value or line.startswith("-"):
        return line
    return f"{key}={_concealed_value(value, key.lstrip('+~'))}"


def _concealed_value(value: str, key: str) -> str:
    text = _one_text(value)
    if text is not None:
        hidden = concealed(text, key)
        return value if hidden == text else _quoted(hidden)
    parts = iter(range(len(value)))

    def without_password(match: re.Match[str]) -> str:
        part = f"{key} {next(parts)}"
        if match[0][0] not in "'\"":
            return concealed(match[0], part, read=_unescaped)
        text = QuotedString(_unquoted(match[0]), Quote.single).text
        hidden = concealed(text, part)
        return match[0] if hidden == text else _quoted(hidden)

    return _SEGMENT.sub(without_password, value)


def _one_text(value: str) -> str | None:
    """Return the text that a value of an override is, or None for lists, mappings and sweeps."""
    value = value.strip()
    if re.fullmatch(_QUOTED, value, re.DOTALL) and _SEGMENT.match(value).end() == len(value):  # type: ignore[union-attr]
        return _unquoted(value)
    is_uri = re.match(r"[A-Za-z][\w+.\-]*://", value) and value.count("://") == 1
    host = re.sub(INTERPOLATION, "", value.rpartition("@")[2])
    return _unescaped(value) if is_uri and not set("'\",()[]{}") & set(host) else None


def _unquoted(value: str) -> str:
    """Return the text of a quoted value; backslashes before a quote are escapes."""
    return re.sub(rf"(\\+)({value[0]}|\Z)", _halved, value[1:-1])


def _halved(match: re.Match[str]) -> str:
    return "\\" * (len(match[1]) // 2) + match[2]


def _unescaped(value: str) -> str:
    """Return the text of a value without quotes."""
    return re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", value)


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


def _set(node: Any, text: str) -> None:
    if text != node._value():
        with flag_override(node, "readonly", False):
            node._set_value(text)
