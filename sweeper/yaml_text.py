"""The YAML text of a config, put together from blocks that are dumped once.

PyYAML needs 6 ms for the config of a run, and the configs of a study's trials differ in a few
values. A block of keys that has the same values as in an earlier text is not dumped again.
"""

import marshal
import re
from enum import Enum
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

PLAIN_TYPES = (str, int, float, bool, bytes, type(None))
PLAIN_KEY = re.compile(r"[\w@./-]{1,60}")  # takes one line; YAML would fold a longer one
MARSHAL_VERSION = 2  # without references: equal values have equal bytes
MAX_BLOCKS = 512  # of about 1 KB each


def yaml_text(config: Any) -> str:
    """Return the text that `OmegaConf.to_yaml` returns for a config, or for its plain content."""
    is_config = OmegaConf.is_config(config)
    content = _unresolved(config) if is_config else config
    if not _is_plain(content):
        return OmegaConf.to_yaml(config if is_config else OmegaConf.create(config))
    if not isinstance(content, dict) or not content:
        return _dumped(content)
    return "".join(_block((), key, _bytes(value)) for key, value in content.items())


def _unresolved(node: Any) -> Any:
    """Return what `OmegaConf.to_container` does, which takes 1 ms longer for a whole config."""
    value = node._value()
    if isinstance(node, DictConfig) and isinstance(value, dict):
        return {_text_of_enum(key): _unresolved(child) for key, child in value.items()}
    if isinstance(node, ListConfig) and isinstance(value, list):
        return [_unresolved(child) for child in value]
    return _text_of_enum(value)


def _text_of_enum(value: Any) -> Any:
    return value.name if isinstance(value, Enum) else value


@lru_cache(MAX_BLOCKS)
def _block(path: tuple[str, ...], key: str, value: bytes) -> str:
    """Return the lines of a key and its value, indented as in the mapping at `path`."""
    content = marshal.loads(value)
    if not isinstance(content, dict) or not content or not PLAIN_KEY.fullmatch(key):
        return _lines(path, {key: content})
    head = _lines(path, {key: {}}).replace(" {}\n", "\n")
    return head + "".join(_block((*path, key), k, _bytes(v)) for k, v in content.items())


def _lines(path: tuple[str, ...], content: Any) -> str:
    for key in reversed(path):
        content = {key: content}
    return _dumped(content).split("\n", len(path))[-1]


def _bytes(value: Any) -> bytes:
    return marshal.dumps(value, MARSHAL_VERSION)


def _is_plain(value: Any) -> bool:
    """Return whether `marshal` keeps a value as it is, and each key of its mappings is a text."""
    if type(value) is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    if type(value) is list:
        return all(map(_is_plain, value))
    return type(value) in PLAIN_TYPES


def _dumped(content: Any) -> str:
    text: str = yaml.dump(
        content,
        default_flow_style=False,
        allow_unicode=True,
        sort_keys=False,
        Dumper=get_omega_conf_dumper(),
    )
    return text
